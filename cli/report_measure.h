// All networks of a report timed here, in turn, in one go: what runs measured hours apart, or on another landscape
// (engine, ISA, threads), is then comparable. Called by report --measure.
#pragma once
#include <vector>

#include "cli/report_runs.h"
#include "cli/time_model_choice.h"

namespace fdi::cli {

// Replaces measured and predicted times, and machine, engine, ISA and threads, by those of here; runs that were made
// for another ISA or engine say so in their names. Throws Error for a run without its model or its original network.
void measure_runs(std::vector<Run>& runs, const TimingOptions& timing);

}  // namespace fdi::cli
