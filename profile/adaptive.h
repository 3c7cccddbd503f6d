// Adaptive sampling: rounds of samples that are spread evenly over the scope, more of the ops whose error is large,
// until the model is good enough. A scope of networks is timed in whole ones, drawn as the sampler does: alone, layers
// would find their weights in a cache. Called by `profile --adaptive`; who measures is the caller's part.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "profile/sample.h"
#include "profile/sampler.h"
#include "profile/time_model.h"

namespace fdi::profile {

struct AdaptiveOptions {
  int samples = 1300;      // at most
  double target_mape = 0;  // of every op, on samples that the fit has not seen; 0: until the samples are spent
  double first = 0.25;     // of the samples: the first round
  double round = 0.08;     // of the samples: each later one
  FitOptions fit{};
};

struct AdaptiveRound {
  int samples = 0;                // so far
  std::map<nn::Op, double> mape;  // cross-validated
};

struct AdaptiveResult {
  std::vector<Sample> samples;
  std::vector<AdaptiveRound> rounds;
  bool reached = false;  // the target
};

// `measure` times jobs and returns their components' samples, without those for which the engine has nothing to do;
// none: the time is up, and this ends.
using MeasureJobs = std::function<std::vector<Sample>(std::span<const device::Job>)>;
AdaptiveResult sample_adaptively(Sampler& sampler, const AdaptiveOptions& options, const MeasureJobs& measure);

}  // namespace fdi::profile
