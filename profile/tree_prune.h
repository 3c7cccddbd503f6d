// Cuts a grown tree back to the leaves that earn their place, and steadies the laws of small ones. Called by the tree's
// fit; how much a leaf must earn is found by cross-validation there.
#pragma once
#include "profile/tree.h"

namespace fdi::profile {

// A split stays where each leaf it adds lowers the mean relative error over all samples by at least `gain`.
Tree pruned(const Tree& tree, double gain);
// Each law is mixed with its parent's, which counts as `parent_samples` samples more. Laws of one tree have the same
// variables, so a mixture is a law. Conditions found in few samples then cannot lead far away from what many say.
Tree smoothed(const Tree& tree, double parent_samples);

}  // namespace fdi::profile
