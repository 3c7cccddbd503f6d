#include "profile/tree_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/rng.h"
#include "profile/tree_grow.h"
#include "profile/tree_prune.h"
#include "profile/variable_search.h"

namespace fdi::profile {
namespace {

using nn::Op;

constexpr int kThresholds = 32;  // of one range condition's candidates
// With learned variables the laws are better and longer: fewer conditions are tried and more samples stand behind each.
constexpr int kThresholdsGranular = 8, kMinChildGranular = 16;
constexpr size_t kMaxVariables = 18;  // of a law
constexpr double kClearlyBetter = 0.97;
// Found in one fold alone, an eager search's variables may do this much worse than a careful one's: together they gain.
constexpr double kNoWorse = 1.1;
constexpr int kFolds = 5;
// Of more samples the careful search finds an engine's steps by itself; five searches more would take twice the time
// and gain little.
constexpr size_t kFew = 400;
// How many samples beside a leaf's own take the time that the law above tells. A tenth of one already says what a
// variable may weigh that the leaf's samples do not show.
constexpr std::array kTold = {0.1, 1.0, 10.0, 50.0};
// Candidates of what a leaf must take off the mean relative error to stay; the last one leaves the root alone.
constexpr std::array kPruningGains = {0.0, 0.0003, 0.0006, 0.001, 0.002, 0.004, 0.008, 1.0};

using Variables = std::vector<Variable>;

Variables paper_variables(Op op) {
  Variables variables;
  for (const Field field : explanatory_fields(op)) variables.push_back({.field = field});
  return variables;
}

// The samples in folds, in a random order, equal structures in one fold; `data` is sorted.
struct Folds {
  std::array<std::vector<Observation>, kFolds> in, out;  // the samples without a fold's, and the fold's

  Folds(std::span<const Observation> data, uint64_t seed) {
    core::Rng rng(seed, core::Stream::kSplit, 1);
    std::vector<std::pair<size_t, size_t>> order = equal_structures(data);
    if (order.size() < kFolds) {  // too few to leave one out
      order.clear();
      for (size_t i = 0; i < data.size(); ++i) order.emplace_back(i, i + 1);
    }
    rng.shuffle(order.begin(), order.end());
    for (size_t i = 0; i < order.size(); ++i)
      for (size_t f = 0; f < kFolds; ++f)
        for (size_t k = order[i].first; k < order[i].second; ++k) (i % kFolds == f ? out : in)[f].push_back(data[k]);
  }
};

// How a tree is cut back, and the sum of relative errors that such trees leave on samples they have not seen.
struct Cut {
  double gain, told, error;
};

Tree grow(std::span<const Observation> data, const Variables& variables, const FitOptions& options, FitCost& cost) {
  const Limits limits{.stop_mape = 0,
                      .min_samples = 2 * kMinChildGranular,
                      .min_child = std::max(options.min_child, kMinChildGranular),
                      .thresholds = kThresholdsGranular};
  return grow_tree(data, variables, true, options.weighting, limits, cost);
}
Tree cut(const Tree& tree, const Cut& by, std::span<const Observation> data, const FitOptions& options, FitCost& cost) {
  return pruned(steadied(tree, data, options.weighting, by.told, cost), by.gain);
}

Cut cross_validated(const Folds& folds, const Variables& variables, const FitOptions& options, FitCost& cost) {
  std::array<std::array<double, kTold.size()>, kPruningGains.size()> error{};
  for (size_t f = 0; f < kFolds; ++f) {
    if (folds.in[f].empty() || folds.out[f].empty()) continue;
    const Tree full = grow(folds.in[f], variables, options, cost);
    for (size_t t = 0; t < kTold.size(); ++t) {
      const Tree steady = steadied(full, folds.in[f], options.weighting, kTold[t], cost);
      for (size_t g = 0; g < kPruningGains.size(); ++g) {
        const Tree tree = pruned(steady, kPruningGains[g]);
        for (const Observation& o : folds.out[f]) error[g][t] += std::abs(tree.predict(o.structure) / o.us - 1);
      }
    }
  }
  // Of gains that do about as well, the one that leaves the smallest tree.
  const auto best = [&](size_t g) { return std::min_element(error[g].begin(), error[g].end()); };
  double least = std::numeric_limits<double>::max();
  for (size_t g = 0; g < error.size(); ++g) least = std::min(least, *best(g));
  size_t g = error.size() - 1;
  while (*best(g) > 1.01 * least) --g;
  return {kPruningGains[g], kTold[best(g) - error[g].begin()], *best(g)};
}

struct Judged {
  Tree tree;
  double error;
  bool clearly_better_than(const Judged& other) const { return error < kClearlyBetter * other.error; }
};
Judged grow_and_cut(std::span<const Observation> data, const Folds& folds, const Variables& variables,
                    const FitOptions& options, FitCost& cost) {
  const Cut by = cross_validated(folds, variables, options, cost);
  return {cut(grow(data, variables, options, cost), by, data, options, cost), by.error};
}

// Variables are learned from all samples; and where the first condition tells two programs apart, whose common law
// could be anything, from each side by itself. The better tree is told.
Judged fit_at_once(std::span<const Observation> data, const Folds& folds, const FitOptions& options, FitCost& cost) {
  const Op op = data[0].structure.op;
  const auto learn = [&](std::span<const Observation> part) {
    return learn_variables(op, part, options.weighting, cost);
  };
  Judged whole = grow_and_cut(data, folds, learn(data), options, cost);
  if (whole.tree.nodes[0].is_leaf()) return whole;
  std::array<std::vector<Observation>, 2> sides;
  for (const Observation& o : data) sides[whole.tree.nodes[0].condition.holds(o.structure) ? 0 : 1].push_back(o);
  Variables joined;
  for (const auto& side : sides)
    for (const Variable& v : learn(side))
      if (joined.size() < kMaxVariables && std::find(joined.begin(), joined.end(), v) == joined.end())
        joined.push_back(v);
  Judged apart = grow_and_cut(data, folds, joined, options, cost);
  return apart.clearly_better_than(whole) ? std::move(apart) : std::move(whole);
}

// The sum of relative errors of one law per fold, of what was found there, on the samples left out.
double error_of_laws(const Folds& folds, std::span<const Found> found, Variables Found::*variables,
                     const FitOptions& options, FitCost& cost) {
  constexpr Limits kRootOnly{std::numeric_limits<double>::max(), 0, 0, 0};
  double error = 0;
  for (size_t f = 0; f < kFolds; ++f) {
    if (folds.in[f].empty()) continue;
    const Tree law = grow_tree(folds.in[f], found[f].*variables, true, options.weighting, kRootOnly, cost);
    for (const Observation& o : folds.out[f]) error += std::abs(law.predict(o.structure) / o.us - 1);
  }
  return error;
}

// From few samples a careful search finds too little, an eager one also much that is not there, in each fold something
// else: the most telling of all that the folds find are nearly what many more samples would show. Whether eagerness
// does harm is seen on the samples that a fold leaves out, which its variables were not chosen by.
Tree fit_granular(std::span<const Observation> data, const FitOptions& options, FitCost& cost) {
  const Op op = data[0].structure.op;
  const Folds folds(data, options.seed);
  Judged at_once = fit_at_once(data, folds, options, cost);
  if (data.size() > kFew) return std::move(at_once.tree);
  std::vector<Found> found;
  found.reserve(kFolds);
  for (const auto& in : folds.in) found.push_back(learn_eagerly(op, in, options.weighting, cost));
  const auto error = [&](Variables Found::*variables) { return error_of_laws(folds, found, variables, options, cost); };
  if (error(&Found::eager) > kNoWorse * error(&Found::sure)) return std::move(at_once.tree);
  Judged together = grow_and_cut(data, folds, most_telling(op, found, data, options.weighting, cost), options, cost);
  return std::move((together.clearly_better_than(at_once) ? together : at_once).tree);
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

std::vector<std::pair<size_t, size_t>> equal_structures(std::span<const Observation> sorted) {
  std::vector<std::pair<size_t, size_t>> runs;
  for (size_t i = 0; i < sorted.size(); ++i)
    if (i > 0 && sorted[i].structure.value == sorted[i - 1].structure.value)
      runs.back().second = i + 1;
    else
      runs.emplace_back(i, i + 1);
  return runs;
}

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
    return grow_tree(data, paper_variables(data[0].structure.op), false, options.weighting, limits, counted);
  };
  Tree tree = grow();
  add_shares(tree, data);
  return tree;
}

}  // namespace fdi::profile
