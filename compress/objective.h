// Objective: what a structure costs beside its loss (equation 8 of the paper): nothing, FLOPs, or the time that a model
// of the device predicts. Called by Search and by the strategies that compete with it.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "nn/unit_groups.h"

namespace fdi::profile {
class TimeModel;
}

namespace fdi::compress {

struct Objective {
  std::string name;  // "none", "flops", "time"
  std::string unit;  // "MFLOP", "ms"
  // Of the network with these widths, one per group.
  std::function<double(std::span<const int> widths)> cost;
};

// spec, groups and the model must outlive what is returned.
Objective no_objective();
Objective flops_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups);
// Throws Error for an op that the model does not know.
Objective time_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model);

// d cost / d width at real-valued expected widths, by central differences. The cost of a device has steps; a difference
// over two times kSlopeReach units, the widest vector, sees their slope and neither flats nor cliffs.
constexpr int kSlopeReach = 8;
std::vector<double> cost_slope(const Objective& objective, const nn::UnitGroups& groups,
                               std::span<const double> expected);

}  // namespace fdi::compress
