// Narrow: a network with fewer channels, units and hidden units, its layers fitting together as before. The sampler
// draws the widths at random.
#pragma once
#include <functional>
#include <vector>

#include "nn/spec.h"

namespace fdi::profile {

// For each layer, the first of the layers whose width it must share: those whose outputs are added, or joined along
// another axis than channels. -1: no width of its own to choose (pools, ...), or one that must stay: the output's, and
// whatever meets the network's input in an addition, or is cut by a slice or a reshape that splits channels.
std::vector<int> width_groups(const nn::NetworkSpec& spec);

// `width` tells the new width of a group from the old one; it is called once for each, in order.
nn::NetworkSpec narrow(const nn::NetworkSpec& spec, const std::function<int(int)>& width);

}  // namespace fdi::profile
