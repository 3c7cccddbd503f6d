#include "profile/tree_grow.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
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

Rows all_of(std::span<const Observation> data) {
  Rows rows(data.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// Fits laws of the same variables to parts of the samples. A row of the least-squares problem: variables, 1, time;
// divided by the time where errors are relative.
class Fitter {
 public:
  Fitter(std::span<const Observation> data, std::vector<Variable> variables, Weighting weighting, FitCost& cost)
      : data_(data), variables_(std::move(variables)), cost_(cost) {
    row_.reserve(data.size());
    for (const Observation& o : data) {
      Row& row = row_.emplace_back();
      const double scale = weighting == Weighting::kRelative ? 1 / o.us : 1;
      size_t column = 0;
      for (const Variable& variable : variables_) row[column++] = scale * value(variable, o.structure);
      row[column++] = scale;
      row[column] = scale * o.us;
    }
  }

  Gram empty_gram() const { return Gram(static_cast<int>(variables_.size()) + 2); }
  void add(Gram& gram, int sample) {
    gram.add(row_[sample].data());
    ++cost_.gram_rows;
  }
  Gram gram(const Rows& rows) {
    Gram sum = empty_gram();
    for (const int i : rows) add(sum, i);
    return sum;
  }
  Nnls solve(const Gram& gram, const Nnls* start = nullptr) {
    ++cost_.solves;
    return solve_nnls(gram, start);
  }

  // A leaf of these samples, with the law that solves `gram`.
  Node leaf(const Rows& rows, const Gram& gram) {
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

  Rows side(const Rows& rows, const Condition& condition, bool holds) const {
    Rows part;
    for (const int i : rows)
      if (condition.holds(data_[i].structure) == holds) part.push_back(i);
    return part;
  }

 private:
  const std::span<const Observation> data_;
  const std::vector<Variable> variables_;
  FitCost& cost_;
  std::vector<Row> row_;
};

class Grower {
 public:
  Grower(std::span<const Observation> data, Fitter fitter, bool all_features, const Limits& limits)
      : op_(data.empty() ? Op::kConv2d : data[0].structure.op),
        data_(data),
        fitter_(std::move(fitter)),
        all_features_(all_features),
        limits_(limits) {}

  Tree grow() {
    Tree tree{.op = op_, .nodes = {}};
    std::vector<Rows> rows{all_of(data_)};
    tree.nodes.push_back(fitter_.leaf(rows[0], fitter_.gram(rows[0])));
    for (size_t at = 0; at < tree.nodes.size(); ++at) {  // breadth-first: children are appended
      if (tree.nodes[at].mape < limits_.stop_mape || tree.nodes[at].samples < limits_.min_samples) continue;
      const std::optional<Condition> condition = best_condition(rows[at]);
      if (!condition) continue;
      tree.nodes[at].condition = *condition;
      tree.nodes[at].left = static_cast<int>(tree.nodes.size());
      tree.nodes[at].right = tree.nodes[at].left + 1;
      for (const bool side : {true, false}) {
        rows.push_back(fitter_.side(rows[at], *condition, side));
        tree.nodes.push_back(fitter_.leaf(rows.back(), fitter_.gram(rows.back())));
      }
      rows[at] = {};
    }
    return tree;
  }

 private:
  // The condition with the least sum of both sides' errors; none where no condition leaves enough on both sides.
  std::optional<Condition> best_condition(const Rows& rows) {
    const Gram all = fitter_.gram(rows);
    const Nnls whole = fitter_.solve(all);
    double least = std::numeric_limits<double>::max();
    std::optional<Condition> best;
    const auto consider = [&](const Condition& condition, const Gram& left) {
      Gram right = all;
      right -= left;
      if (std::min(left.rows(), right.rows()) < std::max(1, limits_.min_child)) return;
      const double error = fitter_.solve(left, &whole).error + fitter_.solve(right, &whole).error;
      if (error >= least) return;
      least = error;
      best = condition;
    };
    for (const Field field : condition_fields(op_, all_features_)) search_ranges(rows, field, consider);
    for (const Field field : channel_fields(op_))
      for (const int divisor : kDivisors) {
        const Condition condition{field, Condition::Kind::kMultiple, static_cast<double>(divisor)};
        consider(condition, fitter_.gram(fitter_.side(rows, condition, true)));
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
    Gram left = fitter_.empty_gram();
    size_t k = 0;
    for (const size_t cut : thin(cuts, sorted.size(), static_cast<size_t>(limits_.thresholds))) {
      for (; k < cut; ++k) fitter_.add(left, sorted[k].second);
      consider({field, Condition::Kind::kRange, (sorted[cut - 1].first + sorted[cut].first) / 2}, left);
    }
  }

  const Op op_;
  const std::span<const Observation> data_;
  Fitter fitter_;
  const bool all_features_;
  const Limits limits_;
};

// Adds `share` of each row of `others`, whose target is what the law tells in place of what was measured.
void add_told(Gram& gram, const Gram& others, const Law& law, double share) {
  const int target = gram.columns() - 1;
  std::vector<double> weight = law.weight;
  weight.push_back(law.bias);
  const auto add = [&](int i, int j, double sum) { gram.set(i, j, gram.at(i, j) + share * sum); };
  double told_squared = 0;
  for (int i = 0; i < target; ++i) {
    double told = 0;
    for (int j = 0; j < target; ++j) told += others.at(i, j) * weight[j];
    for (int j = 0; j <= i; ++j) add(i, j, others.at(i, j));
    add(i, target, told);
    told_squared += weight[i] * told;
  }
  add(target, target, told_squared);
}

}  // namespace

Tree grow_tree(std::span<const Observation> data, const std::vector<Variable>& variables, bool all_features,
               Weighting weighting, const Limits& limits, FitCost& cost) {
  return Grower(data, Fitter(data, variables, weighting, cost), all_features, limits).grow();
}

Tree steadied(const Tree& tree, std::span<const Observation> data, Weighting weighting, double told, FitCost& cost) {
  Tree out = tree;
  Fitter fitter(data, tree.nodes[0].law.variables, weighting, cost);
  std::vector<Rows> rows(tree.nodes.size());
  rows[0] = all_of(data);
  const Gram all = fitter.gram(rows[0]);
  for (size_t at = 0; at < out.nodes.size(); ++at) {  // parents come before their children
    const Node& node = out.nodes[at];
    if (node.is_leaf()) continue;
    for (const int child : {node.left, node.right}) {
      rows[child] = fitter.side(rows[at], node.condition, child == node.left);
      Gram gram = fitter.gram(rows[child]);
      add_told(gram, all, node.law, told / static_cast<double>(data.size()));
      Node fitted = fitter.leaf(rows[child], gram);
      out.nodes[child].law = std::move(fitted.law);
      out.nodes[child].mape = fitted.mape;
    }
  }
  return out;
}

}  // namespace fdi::profile
