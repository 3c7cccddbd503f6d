#include "profile/tree_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/check.h"
#include "core/rng.h"
#include "profile/nnls.h"
#include "profile/tree_prune.h"
#include "profile/variable_search.h"

namespace fdi::profile {
namespace {

using nn::Op;

constexpr int kThresholds = 32;  // of one range condition's candidates
// With learned variables the laws are better and longer: fewer conditions are tried and more samples stand behind each.
constexpr int kThresholdsGranular = 8, kMinChildGranular = 16;
constexpr size_t kMaxVariables = Gram::kMaxColumns - 2;  // beside the bias and the target
constexpr double kClearlyBetter = 0.97;
// How many samples the law above counts as, where a leaf's is mixed with it.
constexpr std::array kSmoothing = {0.0, 5.0, 15.0, 50.0};
// Candidates of what a leaf must take off the mean relative error to stay; the last one leaves the root alone.
constexpr std::array kPruningGains = {0.0, 0.0003, 0.0006, 0.001, 0.002, 0.004, 0.008, 1.0};
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

std::vector<Variable> paper_variables(Op op) {
  std::vector<Variable> variables;
  for (const Field field : explanatory_fields(op)) variables.push_back({.field = field});
  return variables;
}

struct Limits {
  double stop_mape;
  int min_samples, min_child, thresholds;
};

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

struct Judged {
  Tree tree;
  double error;  // sum of relative errors on samples left out
};

// The tree of these variables, cut back to what helps on samples that it has not seen.
Judged grow_and_cut(std::span<const Observation> data, const std::vector<Variable>& variables,
                    const FitOptions& options, FitCost& cost) {
  constexpr int kFolds = 5;
  const Limits limits{.stop_mape = 0,
                      .min_samples = 2 * kMinChildGranular,
                      .min_child = std::max(options.min_child, kMinChildGranular),
                      .thresholds = kThresholdsGranular};
  const auto grow = [&](std::span<const Observation> part) {
    return Grower(part, variables, true, options.weighting, limits, cost).grow();
  };
  std::array<std::array<double, kSmoothing.size()>, kPruningGains.size()> error{};
  core::Rng rng(options.seed, core::Stream::kSplit, 1);
  std::vector<int> fold(data.size());
  for (size_t i = 0; i < fold.size(); ++i) fold[i] = static_cast<int>(i) % kFolds;
  rng.shuffle(fold.begin(), fold.end());
  for (int f = 0; f < kFolds; ++f) {
    std::vector<Observation> in, out;
    for (size_t i = 0; i < data.size(); ++i) (fold[i] == f ? out : in).push_back(data[i]);
    if (in.empty() || out.empty()) continue;
    const Tree full = grow(in);
    for (size_t g = 0; g < kPruningGains.size(); ++g)
      for (size_t s = 0; s < kSmoothing.size(); ++s) {
        const Tree tree = smoothed(pruned(full, kPruningGains[g]), kSmoothing[s]);
        for (const Observation& o : out) error[g][s] += std::abs(tree.predict(o.structure) / o.us - 1);
      }
  }
  // Of gains that do about as well, the one that leaves the smallest tree.
  const auto best = [&](size_t g) { return std::min_element(error[g].begin(), error[g].end()); };
  double least = std::numeric_limits<double>::max();
  for (size_t g = 0; g < error.size(); ++g) least = std::min(least, *best(g));
  size_t g = error.size() - 1;
  while (*best(g) > 1.01 * least) --g;
  return {smoothed(pruned(grow(data), kPruningGains[g]), kSmoothing[best(g) - error[g].begin()]), *best(g)};
}

// Variables are learned from all samples; and where the first condition tells two programs apart, whose common law
// could be anything, from each side by itself. The better tree stays.
Tree fit_granular(std::span<const Observation> data, const FitOptions& options, FitCost& cost) {
  const Op op = data[0].structure.op;
  const Judged whole = grow_and_cut(data, learn_variables(op, data, options.weighting, cost), options, cost);
  if (whole.tree.nodes[0].is_leaf()) return whole.tree;
  std::array<std::vector<Observation>, 2> sides;
  for (const Observation& o : data) sides[whole.tree.nodes[0].condition.holds(o.structure) ? 0 : 1].push_back(o);
  std::vector<Variable> variables;
  for (const auto& side : sides)
    for (const Variable& v : learn_variables(op, side, options.weighting, cost))
      if (variables.size() < kMaxVariables && std::find(variables.begin(), variables.end(), v) == variables.end())
        variables.push_back(v);
  const Judged apart = grow_and_cut(data, variables, options, cost);
  return apart.error < kClearlyBetter * whole.error ? apart.tree : whole.tree;
}

// Which part of the time each variable of each law tells: of the node's samples together.
void add_shares(Tree& tree, std::span<const Observation> data) {
  std::vector<double> total(tree.nodes.size());
  for (Node& node : tree.nodes) node.law.share.assign(node.law.variables.size(), 0);
  for (const Observation& o : data)
    for (int at = 0; at >= 0;) {
      Node& node = tree.nodes[at];
      for (size_t i = 0; i < node.law.variables.size(); ++i)
        if (node.law.weight[i] > 0) node.law.share[i] += node.law.weight[i] * value(node.law.variables[i], o.structure);
      total[at] += node.law(o.structure);
      at = node.is_leaf() ? -1 : node.condition.holds(o.structure) ? node.left : node.right;
    }
  for (size_t at = 0; at < tree.nodes.size(); ++at)
    for (double& share : tree.nodes[at].law.share) share = total[at] > 0 ? std::min(1.0, share / total[at]) : 0;
}

}  // namespace

Tree fit_tree(std::span<const Observation> observations, const FitOptions& options, FitCost* cost) {
  CHECK(!observations.empty());
  FitCost own;
  FitCost& counted = cost == nullptr ? own : *cost;
  std::vector<Observation> data(observations.begin(), observations.end());
  std::sort(data.begin(), data.end(), [](const Observation& a, const Observation& b) {
    return a.structure.value != b.structure.value ? a.structure.value < b.structure.value : a.us < b.us;
  });
  const auto grow = [&] {
    if (options.features == Features::kGranular) return fit_granular(data, options, counted);
    const Limits limits{options.stop_mape, options.min_samples, options.min_child, kThresholds};
    return Grower(data, paper_variables(data[0].structure.op), false, options.weighting, limits, counted).grow();
  };
  Tree tree = grow();
  add_shares(tree, data);
  return tree;
}

}  // namespace fdi::profile
