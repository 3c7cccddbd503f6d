#include "profile/tree_fit.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "profile/nnls.h"

namespace fdi::profile {
namespace {

using nn::Op;

constexpr int kThresholds = 32;  // of one range condition's candidates
constexpr std::array kDivisors = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};

using Rows = std::vector<int>;
using Row = std::array<double, Gram::kMaxColumns>;

std::vector<Variable> paper_variables(Op op) {
  std::vector<Variable> variables;
  for (const Field field : explanatory_fields(op)) variables.push_back({.field = field});
  return variables;
}

class Grower {
 public:
  Grower(Op op, std::span<const Observation> observations, const FitOptions& options, FitCost& cost)
      : op_(op), options_(options), cost_(cost), data_(observations.begin(), observations.end()) {
    std::sort(data_.begin(), data_.end(), [](const Observation& a, const Observation& b) {
      return a.structure.value != b.structure.value ? a.structure.value < b.structure.value : a.us < b.us;
    });
  }

  Tree grow() {
    Tree tree{.op = op_, .nodes = {}};
    std::vector<Rows> rows(1);
    for (int i = 0; i < static_cast<int>(data_.size()); ++i) rows[0].push_back(i);
    tree.nodes.push_back(node(rows[0], paper_variables(op_)));
    for (size_t at = 0; at < tree.nodes.size(); ++at) {  // breadth-first: children are appended
      if (tree.nodes[at].mape < options_.stop_mape || tree.nodes[at].samples < options_.min_samples) continue;
      const std::optional<Condition> condition = best_condition(rows[at], tree.nodes[at].law.variables);
      if (!condition) continue;
      tree.nodes[at].condition = *condition;
      tree.nodes[at].left = static_cast<int>(tree.nodes.size());
      tree.nodes[at].right = tree.nodes[at].left + 1;
      for (const bool side : {true, false}) {
        Rows part;
        for (const int i : rows[at])
          if (condition->holds(data_[i].structure) == side) part.push_back(i);
        tree.nodes.push_back(node(part, tree.nodes[at].law.variables));
        rows.push_back(std::move(part));
      }
      rows[at] = {};
    }
    return tree;
  }

 private:
  // A row of the least-squares problem: variables, 1, time; divided by the time where errors are relative.
  Row row(int i, std::span<const Variable> variables) const {
    Row row{};
    const double us = data_[i].us, scale = options_.weighting == Weighting::kRelative ? 1 / us : 1;
    size_t column = 0;
    for (const Variable& variable : variables) row[column++] = scale * value(variable, data_[i].structure);
    row[column++] = scale;
    row[column] = scale * us;
    return row;
  }

  void add(Gram& gram, const Row& row) {
    gram.add(row.data());
    ++cost_.gram_rows;
  }
  Nnls solve(const Gram& gram) {
    ++cost_.solves;
    return solve_nnls(gram);
  }

  Node node(const Rows& rows, const std::vector<Variable>& variables) {
    Gram gram(static_cast<int>(variables.size()) + 2);
    for (const int i : rows) add(gram, row(i, variables));
    const Nnls fit = solve(gram);
    Node node;
    node.samples = static_cast<int>(rows.size());
    node.law = {.variables = variables,
                .weight = {fit.weight.begin(), fit.weight.begin() + static_cast<ptrdiff_t>(variables.size())},
                .bias = fit.weight[variables.size()]};
    for (const int i : rows) node.mape += std::abs(node.law(data_[i].structure) / data_[i].us - 1);
    node.mape /= std::max<double>(1, static_cast<double>(rows.size()));
    return node;
  }

  // The condition with the least sum of both sides' errors; none where no condition leaves enough on both sides.
  std::optional<Condition> best_condition(const Rows& rows, std::span<const Variable> variables) {
    std::vector<Row> columns;
    Gram all(static_cast<int>(variables.size()) + 2);
    for (const int i : rows) {
      columns.push_back(row(i, variables));
      add(all, columns.back());
    }
    double least = std::numeric_limits<double>::max();
    std::optional<Condition> best;
    const auto consider = [&](const Condition& condition, const Gram& left) {
      Gram right = all;
      right -= left;
      if (std::min(left.rows(), right.rows()) < std::max(1, options_.min_child)) return;
      const double error = solve(left).error + solve(right).error;
      if (error >= least) return;
      least = error;
      best = condition;
    };
    for (const Field field : condition_fields(op_, options_.features == Features::kGranular))
      search_ranges(rows, columns, all.columns(), field, consider);
    for (const Field field : channel_fields(op_))
      for (const int divisor : kDivisors) {
        const Condition condition{field, Condition::Kind::kMultiple, static_cast<double>(divisor)};
        Gram left(all.columns());
        for (size_t k = 0; k < rows.size(); ++k)
          if (condition.holds(data_[rows[k]].structure)) add(left, columns[k]);
        consider(condition, left);
      }
    return best;
  }

  // Rows sorted by the field are added one by one; at each threshold the sum so far is the left side.
  template <class Consider>
  void search_ranges(const Rows& rows, const std::vector<Row>& columns, int width, Field field,
                     const Consider& consider) {
    std::vector<std::pair<double, int>> sorted;
    for (size_t k = 0; k < rows.size(); ++k) sorted.emplace_back(data_[rows[k]].structure[field], static_cast<int>(k));
    std::sort(sorted.begin(), sorted.end());
    std::vector<size_t> cuts;  // positions where the value changes
    for (size_t k = 1; k < sorted.size(); ++k)
      if (sorted[k].first > sorted[k - 1].first) cuts.push_back(k);
    if (cuts.empty()) return;
    const std::vector<size_t> chosen = thin(cuts, sorted.size());
    Gram left(width);
    size_t k = 0;
    for (const size_t cut : chosen) {
      for (; k < cut; ++k) add(left, columns[sorted[k].second]);
      consider({field, Condition::Kind::kRange, (sorted[cut - 1].first + sorted[cut].first) / 2}, left);
    }
  }
  static std::vector<size_t> thin(const std::vector<size_t>& cuts, size_t n) {
    if (cuts.size() <= kThresholds) return cuts;
    std::vector<size_t> chosen;  // the cuts next to the quantiles
    for (size_t q = 1; q <= kThresholds; ++q) {
      const auto cut = std::lower_bound(cuts.begin(), cuts.end(), q * n / (kThresholds + 1));
      if (cut != cuts.end() && (chosen.empty() || *cut > chosen.back())) chosen.push_back(*cut);
    }
    return chosen;
  }

  const Op op_;
  const FitOptions& options_;
  FitCost& cost_;
  std::vector<Observation> data_;
};

}  // namespace

Tree fit_tree(Op op, std::span<const Observation> observations, const FitOptions& options, FitCost* cost) {
  FitCost own;
  return Grower(op, observations, options, cost == nullptr ? own : *cost).grow();
}

}  // namespace fdi::profile
