// Learns which variables explain the times of an op: fields, fields of the shape rounded up, and fields that count only
// once a cache is outgrown, or by the share that does not fit. Nothing is known of the engine: every step and bound is
// found in the samples. Called by the tree's fit for Features::kGranular, before the first split.
#pragma once
#include <span>
#include <vector>

#include "profile/tree_fit.h"

namespace fdi::profile {

// Greedy: the candidate that lowers the squared error most comes in, as long as one lowers it by kGain and by more than
// the best of as many meaningless ones would; after each, the steps and bounds of those chosen are tried anew, and one
// that its companions make useless goes out.
std::vector<Variable> learn_variables(nn::Op op, std::span<const Observation> observations, Weighting weighting,
                                      FitCost& cost);

// The same, and what comes in when the search goes on to where even kGain is not reached.
struct Found {
  std::vector<Variable> sure, eager;
};
Found learn_eagerly(nn::Op op, std::span<const Observation> observations, Weighting weighting, FitCost& cost);

// The most telling variables of several searches: while they are too many, the one that is missed least goes out.
std::vector<Variable> most_telling(nn::Op op, std::span<const Found> found, std::span<const Observation> observations,
                                   Weighting weighting, FitCost& cost);

}  // namespace fdi::profile
