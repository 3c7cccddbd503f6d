// Adaptive sampling: rounds of samples that are spread evenly over the scope, more of the ops whose error is large,
// until the model is good enough. Every round times those of before once more too, so that none is a slow minute's. A
// scope of networks is timed in whole ones, drawn as the sampler does: alone, layers
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
  int passes = 15;         // over every sample in the end, where there is time for it; a third of them at first
  FitOptions fit{};
};

struct AdaptiveRound {
  int samples = 0, passes = 0;    // so far; in the median
  std::map<nn::Op, double> mape;  // cross-validated
};

struct AdaptiveResult {
  std::vector<Sample> samples;
  std::vector<AdaptiveRound> rounds;
  bool reached = false;  // the target
};

// `measure` takes more jobs in, brings all so far to so many passes (fewer where the time ends) and returns the samples
// of all, without those for which the engine has nothing to do; none: the time is up, and this ends with what it has.
using MeasureJobs = std::function<std::vector<Sample>(std::span<const device::Job> more, int passes)>;
AdaptiveResult sample_adaptively(Sampler& sampler, const AdaptiveOptions& options, const MeasureJobs& measure);

}  // namespace fdi::profile
