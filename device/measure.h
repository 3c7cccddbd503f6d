// The one stopwatch: warms up, repeats until the spread is small or a cap is reached, and returns the spread.
// All timing in the program, benchmarks and profiles alike, goes through here.
// Threads: bind them (core::PinnedThreads, or OMP_PROC_BIND=true from the start) so that none wanders between
// processors.
#pragma once
#include <functional>
#include <span>
#include <vector>

namespace fdi::device {

struct Timing {
  double min_us = 0, median_us = 0, mean_us = 0;
  double rel_mad = 0;  // median absolute deviation / median
  int runs = 0;
  // The standard error of the median, relative, as of a normal distribution; 0 of no readings.
  double median_error() const;
};

struct MeasureOptions {
  int warm_up = 1;
  int min_runs = 20;  // the paper's 20
  int max_runs = 1000;
  double target_rel_mad = 0.01;  // stop repeating below this spread ...
  double max_seconds = 2.0;      // ... or after this time, for all contenders together (min_runs are always taken)
  double min_interval_us = 200;  // a shorter function is called several times per reading
};

double median(std::vector<double> values);  // 0 of none
Timing summarize(std::span<const double> readings_us);

using Clock = std::function<double()>;  // microseconds since some fixed moment
double steady_clock_us();

Timing measure(const std::function<void()>& run, const MeasureOptions& options = {},
               const Clock& now_us = steady_clock_us);
// Several contenders in turn, A B C A B C ..., so that a drifting clock hits all alike: ratios of one run are honest.
std::vector<Timing> measure_interleaved(std::span<const std::function<void()>> runs, const MeasureOptions& options = {},
                                        const Clock& now_us = steady_clock_us);

// A round of parts that are timed where they run, one after the other. The round calls lap(i) when part i is done, and
// lap(kUntimed) when what is to be timed begins: after work of the stopwatch's own. The spread that ends the repeating
// is that of whole rounds; min_interval_us means nothing here.
struct Laps {
  Timing total;
  std::vector<Timing> parts;
};
using Lap = std::function<void(int part)>;
constexpr int kUntimed = -1;
Laps measure_laps(const std::function<void(const Lap&)>& round, int parts, const MeasureOptions& options = {},
                  const Clock& now_us = steady_clock_us);

}  // namespace fdi::device
