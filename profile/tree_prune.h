// Cuts a grown tree back to the leaves that earn their place. Called by the tree's fit; how much a leaf must earn is
// found by cross-validation there.
#pragma once
#include "profile/tree.h"

namespace fdi::profile {

// A split stays where each leaf it adds lowers the mean relative error over all samples by at least `gain`.
Tree pruned(const Tree& tree, double gain);

}  // namespace fdi::profile
