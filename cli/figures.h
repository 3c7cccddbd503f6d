// The figures of a time model: data and pictures in a folder. Called by fit.
#pragma once
#include <string>

#include "cli/profiling.h"
#include "profile/runner.h"
#include "profile/time_model.h"

namespace fdi::cli {

// model.json; figure 2: tree_OP.dot and .svg; figure 4: safe_region.json, .plot.csv, .gp and .svg of convolutions.
// What was written, and what cannot be drawn and why, is said on standard error. `runner` reaches the device of the
// samples as `profiling` names it; ten layers of figure 4's region are timed there, before and after widening, unless
// another process measures there. Null: it is not at hand.
void draw_figures(const std::string& folder, const profile::SampleSet& set, const profile::TimeModel& model,
                  const profile::FitOptions& options, profile::Runner* runner, const ProfilingOptions& profiling);

}  // namespace fdi::cli
