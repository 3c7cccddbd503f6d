#include "device/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace fdi::device {
namespace {

// Microseconds per call over `calls` calls.
double reading(const std::function<void()>& run, int calls, const Clock& now_us) {
  const double start = now_us();
  for (int i = 0; i < calls; ++i) run();
  return (now_us() - start) / calls;
}

// How many calls a reading needs to last min_interval_us. The calls made to find out are part of the warming up.
int calls_per_reading(const std::function<void()>& run, const MeasureOptions& options, const Clock& now_us) {
  for (int i = 0; i < options.warm_up; ++i) run();
  constexpr int kMaxCalls = 1 << 20;  // a function that does nothing measurable must still end
  for (int calls = 1;; calls *= 2) {
    const double us = reading(run, calls, now_us);
    if (us * calls >= options.min_interval_us || calls == kMaxCalls) {
      const double wanted = us > 0 ? std::ceil(options.min_interval_us / us) : kMaxCalls;
      return static_cast<int>(std::clamp(wanted, 1.0, static_cast<double>(kMaxCalls)));
    }
  }
}

}  // namespace

double steady_clock_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

Timing summarize(std::span<const double> readings_us) {
  Timing timing;
  timing.runs = static_cast<int>(readings_us.size());
  if (readings_us.empty()) return timing;
  std::vector<double> values(readings_us.begin(), readings_us.end());
  timing.min_us = *std::min_element(values.begin(), values.end());
  timing.mean_us = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  timing.median_us = median(values);
  for (double& v : values) v = std::abs(v - timing.median_us);
  if (timing.median_us > 0) timing.rel_mad = median(std::move(values)) / timing.median_us;
  return timing;
}

double Timing::median_error() const {
  constexpr double kDeviation = 1.4826, kOfMedian = 1.2533;  // of the MAD; sqrt(pi / 2)
  return runs > 0 ? kOfMedian * kDeviation * rel_mad / std::sqrt(runs) : 0;
}

std::vector<Timing> measure_interleaved(std::span<const std::function<void()>> runs, const MeasureOptions& options,
                                        const Clock& now_us) {
  std::vector<int> calls;
  for (const auto& run : runs) calls.push_back(calls_per_reading(run, options, now_us));

  std::vector<std::vector<double>> readings(runs.size());
  std::vector<Timing> timings(runs.size());
  const double deadline = now_us() + options.max_seconds * 1e6;
  for (int round = 1;; ++round) {
    for (size_t i = 0; i < runs.size(); ++i) readings[i].push_back(reading(runs[i], calls[i], now_us));
    if (round < options.min_runs) continue;
    bool steady = true;
    for (size_t i = 0; i < runs.size(); ++i) {
      timings[i] = summarize(readings[i]);
      steady = steady && timings[i].rel_mad <= options.target_rel_mad;
    }
    if (steady || round >= options.max_runs || now_us() >= deadline) return timings;
  }
}

Timing measure(const std::function<void()>& run, const MeasureOptions& options, const Clock& now_us) {
  return measure_interleaved(std::span(&run, 1), options, now_us).front();
}

Laps measure_laps(const std::function<void(const Lap&)>& round, int parts, const MeasureOptions& options,
                  const Clock& now_us) {
  const auto count = static_cast<size_t>(parts);
  std::vector<double> part_us(count);
  double begin = 0;
  const Lap lap = [&](int part) {
    const double now = now_us();
    if (part != kUntimed) part_us[static_cast<size_t>(part)] += now - begin;
    begin = part == kUntimed ? now_us() : now;
  };
  for (int i = 0; i < options.warm_up; ++i) round(lap);

  std::vector<std::vector<double>> readings(count);
  std::vector<double> totals;
  const double deadline = now_us() + options.max_seconds * 1e6;
  for (;;) {
    std::ranges::fill(part_us, 0.0);
    round(lap);
    for (size_t i = 0; i < count; ++i) readings[i].push_back(part_us[i]);
    totals.push_back(std::accumulate(part_us.begin(), part_us.end(), 0.0));
    const auto rounds = static_cast<int>(totals.size());
    if (rounds < options.min_runs) continue;
    if (rounds < options.max_runs && now_us() < deadline && summarize(totals).rel_mad > options.target_rel_mad)
      continue;
    Laps laps{summarize(totals), {}};
    for (const auto& part : readings) laps.parts.push_back(summarize(part));
    return laps;
  }
}

}  // namespace fdi::device
