// Each round fits four trees per op, each without a quarter of the samples. The error of a sample under the tree that
// has not seen it says where the model errs; where the four disagree, a condition is undecided. Candidates near such
// samples, and those on which the trees disagree, are the likelier to be measured.
#include "profile/adaptive.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/rng.h"
#include "profile/op_model.h"

namespace fdi::profile {
namespace {

constexpr size_t kFolds = 4;
constexpr size_t kNeighbours = 3;
constexpr int kCandidates = 12;  // drawn for each one that is taken
constexpr int kLeastRound = 16;

struct Known {
  Observation observation;
  bool random = true;  // not chosen for its error
  double error = 0;    // relative, under the tree of its fold
};

struct OpState {
  std::vector<Known> known;
  std::vector<Tree> trees;  // one per fold
  double mape = 1;
};

// Where a structure lies: sizes on a logarithmic scale, and by which powers of two its channels can be divided.
std::array<double, 16> place(const Structure& s) {
  std::array<double, 16> at{};
  size_t i = 0;
  for (const Field field : {Field::kInChannel, Field::kOutChannel, Field::kPixels, Field::kStep})
    at[i++] = std::log2(std::max(1.0, s[field]));
  for (const Field field : {Field::kKernelHeight, Field::kKernelWidth, Field::kStrideHeight, Field::kSame})
    at[i++] = s[field];
  for (const Field field : {Field::kInChannel, Field::kOutChannel})
    for (const int divisor : {4, 8, 16, 32}) at[i++] = std::fmod(s[field], divisor) == 0 ? 1.5 : 0;
  return at;
}

double distance(const std::array<double, 16>& a, const std::array<double, 16>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

void refit(OpState& state, const AdaptiveOptions& options) {
  state.trees.clear();
  double sum = 0;
  int count = 0;
  for (size_t fold = 0; fold < kFolds; ++fold) {
    std::vector<Observation> training;
    for (size_t i = 0; i < state.known.size(); ++i)
      if (i % kFolds != fold) training.push_back(state.known[i].observation);
    state.trees.push_back(fit_tree(training, options.fit));
    for (size_t i = fold; i < state.known.size(); i += kFolds) {
      Known& k = state.known[i];
      k.error = std::abs(state.trees[fold].predict(k.observation.structure) / k.observation.us - 1);
      sum += k.random ? k.error : 0;
      count += k.random ? 1 : 0;
    }
  }
  state.mape = count > 0 ? sum / count : 1;
}

// How much is to be learnt from a structure: the error of the samples around it, and how far the trees disagree.
double promise(const OpState& state, const std::vector<std::array<double, 16>>& places, const Structure& structure) {
  std::vector<std::pair<double, double>> near;  // distance, error
  const std::array<double, 16> at = place(structure);
  for (size_t i = 0; i < places.size(); ++i) near.emplace_back(distance(at, places[i]), state.known[i].error);
  const size_t count = std::min(kNeighbours, near.size());
  std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end());
  double error = 0, low = HUGE_VAL, high = 0;
  for (size_t i = 0; i < count; ++i) error += near[i].second / static_cast<double>(count);
  for (const Tree& tree : state.trees) {
    const double us = tree.predict(structure);
    low = std::min(low, us);
    high = std::max(high, us);
  }
  const double disagreement = high > 0 ? (high - low) / high : 0;
  return std::min(error, 1.0) + disagreement;
}

// `count` of the candidates, the likelier the more they promise, none twice (Efraimidis and Spirakis 2006).
std::vector<device::Component> choose(const OpState& state, std::vector<device::Component> candidates, size_t count,
                                      core::Rng& rng) {
  std::vector<std::array<double, 16>> places;
  for (const Known& k : state.known) places.push_back(place(k.observation.structure));
  std::vector<std::pair<double, size_t>> keys;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double p = promise(state, places, structure_of(candidates[i]));
    keys.emplace_back(-std::log(1.0 - double{rng.uniform()}) / (p * p + 1e-12), i);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<device::Component> chosen;
  for (size_t i = 0; i < std::min(count, keys.size()); ++i) chosen.push_back(std::move(candidates[keys[i].second]));
  return chosen;
}

}  // namespace

AdaptiveResult sample_adaptively(Sampler& sampler, const AdaptiveOptions& options, const MeasureComponents& measure) {
  AdaptiveResult result;
  std::map<nn::Op, OpState> states;
  // Measures and takes in; false where the time is up.
  const auto take = [&](const std::vector<device::Component>& components, size_t random) {
    std::vector<Sample> samples = measure(components);
    for (size_t i = 0; i < samples.size(); ++i) {
      const device::Component& c = samples[i].component;
      states[c.layer.op].known.push_back({{structure_of(c), samples[i].time.median_us}, i < random, 0});
    }
    const bool all = samples.size() == components.size();
    std::move(samples.begin(), samples.end(), std::back_inserter(result.samples));
    return all;
  };

  const int least =
      std::min(options.samples, static_cast<int>(kFolds) * kLeastRound * static_cast<int>(sampler.ops().size()));
  int want = std::max(static_cast<int>(std::lround(options.samples * options.first)), least);
  std::vector<device::Component> first = sampler.draw(want);
  bool going = take(first, first.size());
  for (uint64_t round = 0;; ++round) {
    AdaptiveRound report{static_cast<int>(result.samples.size()), {}};
    double excess = 0;
    const auto over = [&](const OpState& s) { return std::max(0.0, s.mape - options.target_mape); };
    for (auto& [op, state] : states) {
      refit(state, options);
      report.mape[op] = state.mape;
      excess += over(state);
    }
    result.rounds.push_back(report);
    result.reached = options.target_mape > 0 && excess == 0;
    const int left = options.samples - report.samples;
    if (!going || result.reached || left <= 0) return result;
    want = std::min(left, std::max(kLeastRound, static_cast<int>(std::lround(options.samples * options.round))));
    std::vector<device::Component> picked, drawn;
    core::Rng rng(options.seed, core::Stream::kSampler, 1000, round);
    for (auto& [op, state] : states) {  // ops share a round as they miss the target
      const double share = excess > 0 ? over(state) / excess : 1.0 / static_cast<double>(states.size());
      const int of_op = static_cast<int>(std::ceil(want * share));
      const int random = static_cast<int>(std::ceil(of_op * options.random));
      for (device::Component& c : sampler.draw(op, random)) drawn.push_back(std::move(c));
      for (device::Component& c :
           choose(state, sampler.draw(op, (of_op - random) * kCandidates), static_cast<size_t>(of_op - random), rng))
        picked.push_back(std::move(c));
    }
    const size_t random = drawn.size();
    std::move(picked.begin(), picked.end(), std::back_inserter(drawn));
    if (static_cast<int>(drawn.size()) > left) drawn.resize(static_cast<size_t>(left));
    if (drawn.empty()) return result;  // the scope holds no more
    going = take(drawn, random);
  }
}

}  // namespace fdi::profile
