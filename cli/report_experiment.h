// Which runs of a report may be compared, what stands for several seeds, which run is a method's best. Called by report
// and what it draws and prints.
#pragma once
#include <vector>

#include "cli/report_runs.h"

namespace fdi::cli {

// Runs that may be compared: one machine and engine, one data set and what of it was taken, one original network.
struct Experiment {
  Design original;        // its time: the median of what the runs measured
  std::vector<Run> runs;  // by method in the paper's order, then by time; names say where times are predicted
};
std::vector<Experiment> group_runs(std::vector<Run> runs);

constexpr double kAccuracySlack = 0.005;  // of what counts as no worse than the original
// Runs of the experiment that differ from this one of them in their seed at most, itself among them: the same command
// run again, with the same seed, is one of them, too.
std::vector<const Run*> seeds_of(const Experiment& experiment, const Run& run);
// Ascending, each once; fewer than the runs where one was run again.
std::vector<int64_t> distinct_seeds(const std::vector<const Run*>& runs);
// Their mean; without widths. What one of them lacks, it lacks, too.
Design mean_of(const std::vector<const Run*>& runs);
bool keeps_accuracy(const Experiment& experiment, const Design& design);
// Of each method the fastest run that keeps the accuracy, else the most accurate one, in the order of the runs. Runs
// that differ in their seed alone count by their mean, so that no lucky seed is picked, and the one of middle accuracy
// stands for them.
std::vector<const Run*> best_runs(const Experiment& experiment);

}  // namespace fdi::cli
