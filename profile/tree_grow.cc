#include "profile/tree_grow.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "profile/nnls.h"

namespace fdi::profile {
namespace {

using nn::Op;

constexpr std::array kDivisors = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};

using Rows = std::vector<int>;
using Row = std::array<double, Gram::kMaxColumns>;

std::vector<size_t> thin(const std::vector<size_t>& cuts, size_t n, size_t wanted) {
  if (cuts.size() <= wanted) return cuts;
  std::vector<size_t> chosen;  // the cuts next to the quantiles
  for (size_t q = 1; q <= wanted; ++q) {
    const auto cut = std::lower_bound(cuts.begin(), cuts.end(), q * n / (wanted + 1));
    if (cut != cuts.end() && (chosen.empty() || *cut > chosen.back())) chosen.push_back(*cut);
  }
  return chosen;
}

class Grower {
 public:
  Grower(std::span<const Observation> data, std::vector<Variable> variables, bool all_features, Weighting weighting,
         const Limits& limits, FitCost& cost)
      : op_(data.empty() ? Op::kConv2d : data[0].structure.op),
        data_(data),
        variables_(std::move(variables)),
        all_features_(all_features),
        limits_(limits),
        cost_(cost) {
    for (const Observation& o : data) row_.push_back(row(o, weighting));
  }

  Tree grow() {
    Tree tree{.op = op_, .nodes = {}};
    std::vector<Rows> rows(1);
    for (int i = 0; i < static_cast<int>(data_.size()); ++i) rows[0].push_back(i);
    tree.nodes.push_back(node(rows[0]));
    for (size_t at = 0; at < tree.nodes.size(); ++at) {  // breadth-first: children are appended
      if (tree.nodes[at].mape < limits_.stop_mape || tree.nodes[at].samples < limits_.min_samples) continue;
      const std::optional<Condition> condition = best_condition(rows[at]);
      if (!condition) continue;
      tree.nodes[at].condition = *condition;
      tree.nodes[at].left = static_cast<int>(tree.nodes.size());
      tree.nodes[at].right = tree.nodes[at].left + 1;
      for (const bool side : {true, false}) {
        Rows part;
        for (const int i : rows[at])
          if (condition->holds(data_[i].structure) == side) part.push_back(i);
        tree.nodes.push_back(node(part));
        rows.push_back(std::move(part));
      }
      rows[at] = {};
    }
    return tree;
  }

 private:
  // A row of the least-squares problem: variables, 1, time; divided by the time where errors are relative.
  Row row(const Observation& o, Weighting weighting) const {
    Row row{};
    const double scale = weighting == Weighting::kRelative ? 1 / o.us : 1;
    size_t column = 0;
    for (const Variable& variable : variables_) row[column++] = scale * value(variable, o.structure);
    row[column++] = scale;
    row[column] = scale * o.us;
    return row;
  }
  Gram empty_gram() const { return Gram(static_cast<int>(variables_.size()) + 2); }

  void add(Gram& gram, const Row& row) {
    gram.add(row.data());
    ++cost_.gram_rows;
  }
  Nnls solve(const Gram& gram, const Nnls* start = nullptr) {
    ++cost_.solves;
    return solve_nnls(gram, start);
  }

  Node node(const Rows& rows) {
    Gram gram = empty_gram();
    for (const int i : rows) add(gram, row_[i]);
    const Nnls fit = solve(gram);
    Node node;
    node.samples = static_cast<int>(rows.size());
    node.law = {.variables = variables_,
                .weight = {fit.weight.begin(), fit.weight.begin() + static_cast<ptrdiff_t>(variables_.size())},
                .bias = fit.weight[variables_.size()]};
    for (const int i : rows) node.mape += std::abs(node.law(data_[i].structure) / data_[i].us - 1);
    node.mape /= std::max<double>(1, static_cast<double>(rows.size()));
    return node;
  }

  // The condition with the least sum of both sides' errors; none where no condition leaves enough on both sides.
  std::optional<Condition> best_condition(const Rows& rows) {
    Gram all = empty_gram();
    for (const int i : rows) add(all, row_[i]);
    const Nnls whole = solve(all);
    double least = std::numeric_limits<double>::max();
    std::optional<Condition> best;
    const auto consider = [&](const Condition& condition, const Gram& left) {
      Gram right = all;
      right -= left;
      if (std::min(left.rows(), right.rows()) < std::max(1, limits_.min_child)) return;
      const double error = solve(left, &whole).error + solve(right, &whole).error;
      if (error >= least) return;
      least = error;
      best = condition;
    };
    for (const Field field : condition_fields(op_, all_features_)) search_ranges(rows, field, consider);
    for (const Field field : channel_fields(op_))
      for (const int divisor : kDivisors) {
        const Condition condition{field, Condition::Kind::kMultiple, static_cast<double>(divisor)};
        Gram left = empty_gram();
        for (const int i : rows)
          if (condition.holds(data_[i].structure)) add(left, row_[i]);
        consider(condition, left);
      }
    return best;
  }

  // Rows sorted by the field are added one by one; at each threshold the sum so far is the left side.
  template <class Consider>
  void search_ranges(const Rows& rows, Field field, const Consider& consider) {
    std::vector<std::pair<double, int>> sorted;
    for (const int i : rows) sorted.emplace_back(data_[i].structure[field], i);
    std::sort(sorted.begin(), sorted.end());
    std::vector<size_t> cuts;  // positions where the value changes
    for (size_t k = 1; k < sorted.size(); ++k)
      if (sorted[k].first > sorted[k - 1].first) cuts.push_back(k);
    Gram left = empty_gram();
    size_t k = 0;
    for (const size_t cut : thin(cuts, sorted.size(), static_cast<size_t>(limits_.thresholds))) {
      for (; k < cut; ++k) add(left, row_[sorted[k].second]);
      consider({field, Condition::Kind::kRange, (sorted[cut - 1].first + sorted[cut].first) / 2}, left);
    }
  }

  const Op op_;
  const std::span<const Observation> data_;
  const std::vector<Variable> variables_;
  const bool all_features_;
  const Limits limits_;
  FitCost& cost_;
  std::vector<Row> row_;
};

}  // namespace

Tree grow_tree(std::span<const Observation> data, const std::vector<Variable>& variables, bool all_features,
               Weighting weighting, const Limits& limits, FitCost& cost) {
  return Grower(data, variables, all_features, weighting, limits, cost).grow();
}

}  // namespace fdi::profile
