// Unit groups: which units (channels of a convolution, units of an fc, hidden units of a gru or lstm) can only be kept,
// dropped or added together, derived from the spec alone. Called by whatever changes widths: compression, expansion,
// and the profile's narrower networks.
// A unit is dropped where it is read: the rows of every weight that reads it go, and so do its producers' columns.
// Until then it passes pointwise layers, pools, flatten and concat, which do not mix channels; add ties units together.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "nn/network.h"
#include "nn/spec.h"

namespace fdi::nn {

// Units of one group are tied to units of the same layers, so each may be dropped without any other.
struct UnitGroup {
  std::string name;          // of the first of its layers; "conv3#2" where that has several groups
  std::vector<int> layers;   // that produce these units; one that produces each unit n times is named n times
  int first = 0, count = 0;  // its units are numbers first .. first + count - 1
};

// One axis of a weight or state tensor whose indices belong to units.
struct UnitSlice {
  std::string tensor;  // "conv1_1.weight"
  int layer = 0, axis = 0;
  bool reads = false;     // rows that read a unit; else columns that produce it, or what a batch norm holds of it
  std::vector<int> unit;  // by index along the axis; kFixedUnit: none
};

constexpr int kFixedUnit = -1;

struct UnitGroups {
  std::vector<UnitGroup> groups;           // in the order of their first layers
  std::vector<std::vector<int>> channels;  // by layer: the unit at each index of its output's last axis
  std::vector<UnitSlice> slices;
  std::vector<std::string> fixed;  // by layer: why it must keep (some of) its units; empty: it need not
  int units() const { return groups.empty() ? 0 : groups.back().first + groups.back().count; }
};

// Throws Error for a spec that does not fit together. Units that cannot go are no part of any group: the output's,
// those added to the network's input, those cut apart by a slice or a reshape.
UnitGroups unit_groups(const NetworkSpec& spec);
// Throws Error that names every layer and why it must stay as it is, where there is no group at all.
void require_groups(const NetworkSpec& spec, const UnitGroups& groups);

// The spec with other widths, one per group, smaller or larger.
NetworkSpec with_widths(const NetworkSpec& spec, const UnitGroups& groups, std::span<const int> widths);
std::vector<int> group_counts(const UnitGroups& groups);  // the widths as they are

// Multiplies every row that reads a unit by the unit's factor. 0: the network as if the unit were gone.
void scale_units(const UnitGroups& groups, std::span<const float> factor, Parameters& parameters);

}  // namespace fdi::nn
