#include "cli/report_experiment.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "device/measure.h"

namespace fdi::cli {
namespace {

constexpr const char* kPredicted = " (predicted)";

// The methods in the order of the paper's tables; others come behind.
int place_of(const std::string& name) {
  static const std::vector<std::string> known = {"DeepIoT", "DeepIoT+localMin", "DeepIoT+FLOPs", "FastDeepIoT"};
  return static_cast<int>(std::ranges::find(known, name) - known.begin());
}

}  // namespace

std::vector<Experiment> group_runs(std::vector<Run> runs) {
  // By method, with the runs that are only predicted, which become one of their own, behind those that are measured.
  std::ranges::stable_sort(runs, {}, [](const Run& run) {
    return std::tuple(place_of(run.name), run.name, !run.result.measured_ms, run.result.ms());
  });
  for (Run& run : runs)
    if (!run.result.measured_ms) run.name += kPredicted;
  const auto alike = [](const Run& a, const Run& b) {
    return a.machine == b.machine && a.settings == b.settings && a.original.accuracy == b.original.accuracy &&
           a.original.widths == b.original.widths;
  };
  std::vector<Experiment> experiments;
  for (Run& run : runs) {
    auto mine = std::ranges::find_if(experiments, [&](const Experiment& e) { return alike(e.runs.front(), run); });
    if (mine == experiments.end()) mine = experiments.insert(mine, Experiment{run.original, {}});
    mine->runs.push_back(std::move(run));
  }
  for (Experiment& experiment : experiments) {
    std::vector<double> times;
    for (const Run& run : experiment.runs) {
      if (run.original.measured_ms) times.push_back(*run.original.measured_ms);
      if (!experiment.original.predicted_ms) experiment.original.predicted_ms = run.original.predicted_ms;
    }
    experiment.original.measured_ms.reset();
    if (!times.empty()) experiment.original.measured_ms = device::median(std::move(times));
  }
  return experiments;
}

std::vector<const Run*> seeds_of(const Experiment& experiment, const Run& run) {
  std::vector<const Run*> seeds;
  for (const Run& other : experiment.runs)
    if (&other == &run || (!run.recipe.empty() && other.recipe == run.recipe && other.name == run.name))
      seeds.push_back(&other);
  return seeds;
}

std::vector<int64_t> distinct_seeds(const std::vector<const Run*>& runs) {
  std::vector<int64_t> seeds(runs.size());
  std::ranges::transform(runs, seeds.begin(), &Run::seed);
  std::ranges::sort(seeds);
  seeds.erase(std::unique(seeds.begin(), seeds.end()), seeds.end());
  return seeds;
}

Design mean_of(const std::vector<const Run*>& runs) {
  const auto n = static_cast<double>(runs.size());
  const auto mean = [&](auto member) {
    double sum = 0;
    for (const Run* run : runs) sum += static_cast<double>(run->result.*member);
    return sum / n;
  };
  const auto mean_if = [&](std::optional<double> Design::*member) {
    double sum = 0;
    for (const Run* run : runs) {
      const std::optional<double>& value = run->result.*member;
      if (!value) return std::optional<double>();
      sum += *value;
    }
    return std::optional(sum / n);
  };
  return {.accuracy = mean_if(&Design::accuracy),
          .predicted_ms = mean_if(&Design::predicted_ms),
          .measured_ms = mean_if(&Design::measured_ms),
          .parameters = std::llround(mean(&Design::parameters)),
          .flops = std::llround(mean(&Design::flops)),
          .peak_memory_mib = mean(&Design::peak_memory_mib)};
}

bool keeps_accuracy(const Experiment& experiment, const Design& design) {
  return design.accuracy.value_or(0) >= experiment.original.accuracy.value_or(0) - kAccuracySlack;
}

std::vector<const Run*> best_runs(const Experiment& experiment) {
  std::vector<const Run*> best;
  const auto better = [&](const Run& one, const Run& other) {
    const Design a = mean_of(seeds_of(experiment, one)), b = mean_of(seeds_of(experiment, other));
    const bool a_keeps = keeps_accuracy(experiment, a), b_keeps = keeps_accuracy(experiment, b);
    if (a_keeps != b_keeps) return a_keeps;
    return a_keeps ? a.ms() < b.ms() : a.accuracy.value_or(0) > b.accuracy.value_or(0);
  };
  for (const Run& run : experiment.runs) {
    if (best.empty() || best.back()->name != run.name)
      best.push_back(&run);
    else if (better(run, *best.back()))
      best.back() = &run;
  }
  for (const Run*& run : best) {
    std::vector<const Run*> seeds = seeds_of(experiment, *run);
    std::ranges::stable_sort(seeds, {}, [](const Run* seed) { return seed->result.accuracy.value_or(0); });
    run = seeds[(seeds.size() - 1) / 2];
  }
  return best;
}

}  // namespace fdi::cli
