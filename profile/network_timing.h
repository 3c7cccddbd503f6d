// Whole networks timed on a device, each layer where it runs: in turn, in as many passes as it takes until their
// medians are sure. The one way in which the program measures a network. Called by `predict --measure` and by
// everything that claims to have made a network faster.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "device/version.h"
#include "nn/spec.h"
#include "profile/campaign.h"

namespace fdi::profile {

struct NetworkTiming {
  device::Timing total;          // of one image: the median, least and mean of the passes that count, and their spread
  std::vector<double> layer_us;  // of each of device::components(spec)
};

struct NetworkTimings {
  std::vector<NetworkTiming> networks;  // in the order asked for
  // The reference kernel in the passes that count, against what it took when the device was profiled: above 1.08 the
  // machine is slower than it was then, and was for all the time there was. 1 where nobody knows.
  double slowness = 1;
  double cpu_share = 1;  // as CampaignResult has it
};

struct NetworkTimingOptions {
  double reference_us = 0;  // usual_reference_us; 0: nobody knows
  // Passes go on for longer than a spell of disturbance, then until the standard error of every median is below `sure`.
  double least_seconds = 3, most_seconds = 10, sure = 0.005;
  double most_slow_seconds = 20;     // in place of most_seconds where the machine is slower than when it was profiled
  bool once = device::test_times();  // the fewest passes, whatever comes of them
  std::function<void(int passes)> progress{};
  std::function<double()> seconds = core::monotonic_seconds;  // tests play the clock
};

// Times are divided by how much slower the reference kernel was than usually (passes.h). Throws Error for an op that
// the runner's engine lacks.
NetworkTimings time_networks(Runner& runner, std::span<const nn::NetworkSpec> networks,
                             const NetworkTimingOptions& options);

}  // namespace fdi::profile
