// A campaign: all components timed on one device in several passes, each in an order of its own, so that a slow hour
// does not fall on one kind of layer. Readings that something disturbed are taken again; a drifting clock is divided
// out. Called by the program's profile and sweep; the readings go to the caller one by one, which stores them.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

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
  int passes = 3;
  uint64_t seed = 1;   // of the orders
  double minutes = 0;  // no reading begins after so long; 0: no limit
  // The runs of one pass. All passes together make the paper's 20.
  device::MeasureOptions measure{
      .warm_up = 1, .min_runs = 7, .max_runs = 60, .target_rel_mad = 0.01, .max_seconds = 0.15, .min_interval_us = 200};
  // What passes through the caches between two runs: see device::with_caches.
  device::CacheMode cache = device::CacheMode::kNetwork;
  // Each is called after every reading that is kept. The same component and pass may come again: the later one counts.
  std::function<void(const PassReading&)> keep{};
  std::function<void(const CampaignProgress&)> progress{};
};

struct CampaignResult {
  std::vector<PassReading> readings;  // all, one for each component and pass: see combine()
  int remeasured = 0;
  double minutes = 0;
  double cpu_share = 1;  // median: well below 1 says that the machine is busy with something else
  bool out_of_time = false;
};

// `there`: readings of an earlier, interrupted campaign over the same components; they are not taken again.
CampaignResult run_campaign(Runner& runner, std::span<const device::Component> components,
                            std::span<const PassReading> there, const CampaignOptions& options);

}  // namespace fdi::profile
