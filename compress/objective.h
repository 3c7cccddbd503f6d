// Objective: what a structure costs beside its loss (equation 8 of the paper): nothing, FLOPs, or the time that a model
// of the device predicts; and what may be limited: its time, memory or size. Called by Search and by the strategies
// that compete with it.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "compress/choose.h"
#include "nn/unit_groups.h"

namespace fdi::profile {
class TimeModel;
}

namespace fdi::compress {

struct Objective {
  std::string name;  // "none", "flops", "time", "memory", "size"
  std::string unit;  // "MFLOP", "ms", "MiB"
  Cost cost;
};

// What is returned holds all that it needs, the model too, and may be asked from any thread.
Objective no_objective();
Objective flops_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups);
// Throws Error for an op that the model does not know.
Objective time_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model);
// Of inference, one example at a time: weights and planned activations.
Objective memory_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups);
// Part of the trainable parameters.
Objective size_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups);

// d cost / d width at real-valued expected widths, by central differences. The cost of a device has steps; a difference
// over two times kSlopeReach units, the widest vector, sees their slope and neither flats nor cliffs.
constexpr int kSlopeReach = 8;
std::vector<double> cost_slope(const Objective& objective, const nn::UnitGroups& groups,
                               std::span<const double> expected);

// Expected widths as widths that can be.
std::vector<int> rounded_widths(const nn::UnitGroups& groups, std::span<const double> expected);

// A budget: `what` may cost at most so much.
struct Limit {
  Objective what;
  double most = 0;
};
// The largest share cost / most of all limits, by widths: 1 or less where every limit holds. The limits are copied.
Cost largest_share(std::vector<Limit> limits);

}  // namespace fdi::compress
