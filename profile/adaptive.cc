// Each round takes from many candidates those that make all samples so far stand for the scope best: one after the
// other whichever lowers the energy distance between samples and candidates most (the greedy form of support points,
// Mak and Joseph 2018). The choice asks for no model: choosing where trees err or disagree did not need fewer samples,
// and as the samples remain like the scope, their cross-validated error is the scope's.
#include "profile/adaptive.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "profile/op_model.h"
#include "profile/statistics.h"

namespace fdi::profile {
namespace {

constexpr size_t kCrossFolds = 4;
// Drawn for each one that is taken, and in all: every two of them are compared.
constexpr int kCandidates = 8, kMostCandidates = 4000;
constexpr int kLeastRound = 16;
// Of an op's samples, at most so many more in a round: few passes in a bad minute can make an error look large, and the
// next round's passes tell better.
constexpr double kMostGrowth = 0.5;

using Place = std::array<double, 16>;

struct OpState {
  std::vector<Observation> known;
  std::vector<Place> places;  // of the known
  std::vector<const Sample*> samples;
  double mape = 1;  // that is to be expected once all passes are made
};

// Where a structure lies: sizes on a logarithmic scale, and by which powers of two its channels can be divided.
Place place(const Structure& s) {
  Place at{};
  size_t i = 0;
  const auto size = [&](Field field) { return std::log2(std::max(1.0, s[field])); };
  for (const Field field : {Field::kInChannel, Field::kOutChannel, Field::kPixels, Field::kStep}) at[i++] = size(field);
  for (const Field field : {Field::kKernelHeight, Field::kKernelWidth, Field::kStrideHeight}) at[i++] = 2 * size(field);
  at[i++] = s[Field::kSame];
  for (const Field field : {Field::kInChannel, Field::kOutChannel})
    for (const int divisor : {4, 8, 16, 32}) at[i++] = std::fmod(s[field], divisor) == 0 ? 1 : 0;
  return at;
}

double distance(const Place& a, const Place& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// Mean relative error of samples under trees that have not seen them.
double cross_validated(const std::vector<Observation>& known, const FitOptions& options) {
  std::map<decltype(Structure::value), size_t> number;  // equal structures are in one fold
  std::vector<size_t> fold_of;
  fold_of.reserve(known.size());
  for (const Observation& o : known)
    fold_of.push_back(number.emplace(o.structure.value, number.size()).first->second % kCrossFolds);
  double sum = 0;
  for (size_t fold = 0; fold < kCrossFolds; ++fold) {
    std::vector<Observation> training;
    for (size_t i = 0; i < known.size(); ++i)
      if (fold_of[i] != fold) training.push_back(known[i]);
    if (training.empty()) return 1;
    const Tree tree = fit_tree(training, options);
    for (size_t i = 0; i < known.size(); ++i)
      if (fold_of[i] == fold) sum += std::abs(tree.predict(known[i].structure) / known[i].us - 1);
  }
  return sum / static_cast<double>(known.size());
}

std::map<nn::Op, OpState> by_op(const std::vector<Sample>& samples) {
  std::map<nn::Op, OpState> states;
  for (const Sample& sample : samples) {
    OpState& state = states[sample.component.layer.op];
    state.known.push_back({structure_of(sample.component), sample.time.median_us});
    state.places.push_back(place(state.known.back().structure));
    state.samples.push_back(&sample);
  }
  return states;
}

// In the median: where the time ended there are fewer than were asked for.
int passes_made(const std::vector<Sample>& samples) {
  std::vector<double> made;
  made.reserve(samples.size());
  for (const Sample& sample : samples) made.push_back(static_cast<double>(sample.pass_us.size()));
  return static_cast<int>(median(std::move(made)));
}

// `count` of the candidates: each time the one that is near to the candidates and far from the known.
std::vector<device::Component> choose(const std::vector<Place>& known, std::vector<device::Component> candidates,
                                      int count) {
  const size_t n = candidates.size();
  std::vector<Place> places;
  places.reserve(n);
  for (const device::Component& c : candidates) places.push_back(place(structure_of(c)));
  std::vector<double> from_candidates(n), from_taken(n);  // sums of distances
  for (size_t i = 0; i < n; ++i) {
    for (const Place& p : places) from_candidates[i] += distance(places[i], p);
    for (const Place& p : known) from_taken[i] += distance(places[i], p);
  }
  std::vector<device::Component> chosen;
  for (size_t taken = known.size(); static_cast<int>(chosen.size()) < std::min(count, static_cast<int>(n)); ++taken) {
    size_t best = n;
    double least = std::numeric_limits<double>::max();
    for (size_t i = 0; i < n; ++i) {
      const double energy =
          from_candidates[i] / static_cast<double>(n) - from_taken[i] / (static_cast<double>(taken) + 1);
      if (energy < least) {
        least = energy;
        best = i;
      }
    }
    for (size_t i = 0; i < n; ++i) from_taken[i] += distance(places[i], places[best]);
    from_candidates[best] = std::numeric_limits<double>::max();  // not twice
    chosen.push_back(std::move(candidates[best]));
  }
  return chosen;
}

// An error of `mape` after some of the passes, without what noise adds as long as the others are not made. (The noise
// floor is the MAPE between two halves of the passes, twice what the median of all of them errs by.)
double without_noise(double mape, double noise_floor, int passes, int all_passes) {
  const double noise = noise_floor / 2;
  return std::sqrt(std::max(0.0, mape * mape - noise * noise * (1 - static_cast<double>(passes) / all_passes)));
}

}  // namespace

AdaptiveResult sample_adaptively(Sampler& sampler, const AdaptiveOptions& options, const MeasureJobs& measure) {
  AdaptiveResult result;
  std::map<nn::Op, OpState> states;
  const bool whole = sampler.whole_networks();
  const auto spread = [&](const std::vector<int>& counts, int at_most) {
    std::vector<device::Component> chosen;
    for (size_t i = 0; i < counts.size(); ++i) {
      const nn::Op op = sampler.ops()[i];
      const int count = std::min(counts[i], at_most - static_cast<int>(chosen.size()));
      const int candidates = std::max(count, std::min(count, kMostCandidates / kCandidates) * kCandidates);
      for (device::Component& c : choose(states[op].places, sampler.draw(op, candidates), count))
        chosen.push_back(std::move(c));
    }
    return groups(chosen);
  };
  const auto draw = [&](const std::vector<int>& counts, int at_most) {
    const int count = std::min(at_most, std::accumulate(counts.begin(), counts.end(), 0));
    return whole ? sampler.draw_jobs(count) : spread(counts, at_most);
  };

  const auto ops = static_cast<int>(sampler.ops().size());
  const int least = std::min(options.samples, static_cast<int>(kCrossFolds) * kLeastRound * ops);
  const int first = std::max(static_cast<int>(std::lround(options.samples * options.first)), least);
  std::vector<device::Job> more = draw(sampler.shares(first), first);
  bool exhausted = false;  // the scope
  for (int passes = (options.passes + 2) / 3;;) {
    std::vector<Sample> samples = measure(more, passes);
    if (samples.empty()) return result;
    result.samples = std::move(samples);
    states = by_op(result.samples);
    AdaptiveRound report{static_cast<int>(result.samples.size()), passes_made(result.samples), {}};
    double excess = 0;
    const auto over = [&](const OpState& s) { return std::max(0.0, s.mape - options.target_mape); };
    for (auto& [op, state] : states) {
      report.mape[op] = cross_validated(state.known, options.fit);
      state.mape = without_noise(report.mape[op], noise_floor(state.samples), report.passes, options.passes);
      excess += over(state);
    }
    result.rounds.push_back(report);
    const int left = options.samples - report.samples;
    const bool good = options.target_mape > 0 && excess == 0;
    more.clear();
    if (good || left <= 0 || exhausted) {
      result.reached = good && passes == options.passes;
      if (passes == options.passes) return result;
      passes = options.passes;
      continue;
    }
    const int want =
        std::min(left, std::max(kLeastRound, static_cast<int>(std::lround(options.samples * options.round))));
    std::vector<int> counts;
    for (const nn::Op op : sampler.ops()) {  // ops share a round as they miss the target
      const double share = excess > 0 ? over(states[op]) / excess : 1.0 / ops;
      const auto most = std::max(kLeastRound, static_cast<int>(std::lround(kMostGrowth * states[op].known.size())));
      counts.push_back(std::min(most, static_cast<int>(std::ceil(want * share))));
    }
    more = draw(counts, left);
    exhausted = more.empty();
    passes = exhausted ? options.passes : std::min(options.passes, passes + 1);
  }
}

}  // namespace fdi::profile
