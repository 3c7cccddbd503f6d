#include "compress/verify.h"

#include <algorithm>
#include <array>

#include "core/rng.h"
#include "core/threads.h"
#include "nn/fuse.h"

namespace fdi::compress {

std::vector<device::Timing> steady_times(const Round& round, const SteadyOptions& options) {
  std::vector<std::vector<device::Timing>> rounds;
  std::vector<device::Timing> steady;
  for (int i = 0; i < options.rounds * options.tries; ++i) {
    rounds.push_back(round());
    if ((i + 1) % options.rounds != 0) continue;
    steady.clear();
    double spread = 0;
    for (size_t model = 0; model < rounds[0].size(); ++model) {
      std::vector<double> us;
      us.reserve(rounds.size());
      for (const auto& timings : rounds) us.push_back(timings[model].median_us);
      steady.push_back(device::summarize(us));
      spread = std::max(spread, steady.back().rel_mad);
    }
    if (spread <= options.max_spread) break;
  }
  return steady;
}

std::vector<device::Timing> time_models(const device::Engine& engine, const std::vector<const nn::Model*>& models) {
  std::vector<std::unique_ptr<device::Prepared>> prepared;
  std::vector<std::function<void()>> runs;
  for (const nn::Model* model : models) {
    nn::FoldedNetwork folded = nn::inference_graph(model->spec, model->parameters);
    prepared.push_back(engine.prepare(folded.spec, folded.parameters, true));
    device::Prepared& network = *prepared.back();
    core::Rng rng(1, core::Stream::kSynthetic);
    for (float& x : network.input()) x = rng.normal();
    runs.emplace_back([&network] { network.run(); });
  }
  const core::PinnedThreads pinned;  // after prepare: an engine's own threads are free to go where nothing runs
  // Rounds of a third of a second and more, five or more of them: a second or two at least. In a round one runs after
  // the other, not run by run: the networks would drive each other's weights out of the caches, where inference keeps
  // them and a time model counts on them. Half-width VGG-16s were 20 to 28% slower so.
  device::MeasureOptions options;
  options.min_runs = 10;
  options.target_rel_mad = 0;
  options.max_seconds = 0.3 / static_cast<double>(runs.size());
  return steady_times([&] {
    std::vector<device::Timing> times;
    times.reserve(runs.size());
    for (const auto& run : runs) times.push_back(device::measure_interleaved(std::span(&run, 1), options).front());
    return times;
  });
}

std::vector<Candidate> choose_measured(double max_ms, double least_ms, const std::function<Keep(double ms)>& choose,
                                       const std::function<double(const Keep&)>& predict_ms,
                                       const std::function<std::vector<double>(const std::vector<Keep>&)>& measure_ms,
                                       const VerifyOptions& options) {
  // A time that is measured twice differs by this much (quiet machine): only what keeps the budget with so much to
  // spare keeps it the next time, too. The choices lie around the middle of what is left to the slack.
  constexpr double kNoise = 0.01;
  constexpr std::array kAround = {0.995, 0.98, 0.965};
  const double most_ms = (1 - kNoise) * max_ms;
  std::vector<Candidate> all;
  const auto best = [&] {  // the slowest that keeps the budget; none: the fastest
    return std::ranges::max_element(all, [&](const Candidate& a, const Candidate& b) {
      const bool a_keeps = a.measured_ms <= most_ms, b_keeps = b.measured_ms <= most_ms;
      if (a_keeps != b_keeps) return b_keeps;
      return a_keeps ? a.measured_ms < b.measured_ms : a.measured_ms > b.measured_ms;
    });
  };
  double measured_per_predicted = 1;
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<Keep> fresh;
    for (const double part : kAround) {
      Keep keep = choose(std::max(least_ms, part * max_ms / measured_per_predicted));
      const auto same = [&](const Candidate& c) { return c.keep == keep; };
      if (std::ranges::none_of(all, same) && std::ranges::find(fresh, keep) == fresh.end())
        fresh.push_back(std::move(keep));
    }
    if (fresh.empty()) break;  // the steps of the time allow nothing nearer
    const std::vector<double> ms = measure_ms(fresh);
    for (size_t i = 0; i < fresh.size(); ++i) {
      const double predicted = predict_ms(fresh[i]);
      all.push_back({std::move(fresh[i]), predicted, ms[i]});
    }
    const Candidate& now = *best();
    if (now.measured_ms <= most_ms && now.measured_ms >= (1 - options.slack) * max_ms) break;
    measured_per_predicted = now.measured_ms / now.predicted_ms;
  }
  best()->chosen = true;
  return all;
}

}  // namespace fdi::compress
