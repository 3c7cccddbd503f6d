// A campaign: all jobs timed on one device in several passes, each in an order of its own, so that a slow hour does not
// fall on one kind of layer. Nothing is ever waited for: a processor that has slept is slow for a while after (on a
// shared host the reference kernel by 20 to 50%, for tenths of seconds). Readings that something disturbed are taken
// again; a drifting clock is divided out. Called by the program's profile and sweep; the readings go to the caller one
// by one, which stores them.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/progress.h"
#include "device/reading.h"
#include "profile/passes.h"
#include "profile/runner.h"

namespace fdi::profile {

struct CampaignProgress {
  int done = 0, total = 0;  // readings
  int remeasured = 0;       // disturbed ones that were taken again
  double seconds_left = 0;
};

struct CampaignOptions {
  // Many short passes beat few long ones: what spoils times on a shared machine lasts for seconds. The median of 15
  // passes left 2% of noise on VGG's convolutions, that of 3 passes 4 to 7%.
  int passes = 15;
  uint64_t seed = 1;  // of the orders
  // Of the campaign; 0: no limit. Where not all passes fit, each job gets the same time: those that take long are left
  // out of some passes, but measured twice at least, and 4 passes are made to fit by fewer rounds each, where that is
  // possible.
  double minutes = 0;
  // The rounds of one pass: the paper's 20, of large layers fewer.
  device::MeasureOptions measure{.warm_up = 2, .min_runs = 3, .max_runs = 20, .target_rel_mad = 0, .max_seconds = 0.3};
  bool outliers_again = true;  // at the end, what the passes disagree about
  // What the reference kernel took when this device was profiled (usual_reference_us); 0: nobody knows.
  double reference_us = 0;
  // Each is called after every reading that is kept. The same job and pass may come again: the later one counts.
  std::function<void(const PassReading&)> keep{};
  std::function<void(const CampaignProgress&)> progress{};
  std::function<double()> seconds = core::monotonic_seconds;  // tests play the clock
};

struct CampaignResult {
  std::vector<PassReading> readings;  // all, one for each job and pass: see combine()
  int remeasured = 0;
  double minutes = 0;
  double cpu_share = 1;  // median: well below 1 says that the machine is busy with something else
  int passes = 0;        // fewest readings of a job
};

// `there`: readings of an earlier, interrupted campaign over the same jobs; they are not taken again.
CampaignResult run_campaign(Runner& runner, std::span<const device::Job> jobs, std::span<const PassReading> there,
                            const CampaignOptions& options);

}  // namespace fdi::profile
