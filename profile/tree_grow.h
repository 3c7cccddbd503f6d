// Grows a tree by the splits of Algorithm 1, with a law of given variables at every node, and steadies the laws of
// small nodes. Called by tree_fit, which finds the variables and cuts the tree back.
#pragma once
#include <span>
#include <vector>

#include "profile/tree_fit.h"

namespace fdi::profile {

struct Limits {
  double stop_mape;            // a node whose fit is this good is a leaf ...
  int min_samples, min_child;  // ... and so is one of fewer samples, or whose sides had fewer
  int thresholds;              // of one range condition's candidates
};
// `all_features`: conditions on every field of the op, not on the paper's alone.
Tree grow_tree(std::span<const Observation> data, const std::vector<Variable>& variables, bool all_features,
               Weighting weighting, const Limits& limits, FitCost& cost);

// `data`: what the tree was grown from. Every law below the root is fitted anew, to its node's samples and to `told`
// samples more, spread over all of `data`, whose times are what the law above tells. Else a variable that hardly counts
// in a node's samples may get any weight there, and tell any time where it does count.
Tree steadied(const Tree& tree, std::span<const Observation> data, Weighting weighting, double told, FitCost& cost);

}  // namespace fdi::profile
