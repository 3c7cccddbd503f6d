#include "compress/objective.h"

#include <algorithm>
#include <cmath>

#include "nn/fuse.h"
#include "nn/summary.h"
#include "profile/time_model.h"

namespace fdi::compress {

Objective no_objective() {
  return {"none", "", [](std::span<const int>) { return 0.0; }};
}

Objective flops_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups) {
  return {"flops", "MFLOP", [&spec, &groups](std::span<const int> widths) {
            const nn::NetworkSpec narrow = nn::inference_spec(nn::with_widths(spec, groups, widths));
            return static_cast<double>(nn::summarize(narrow).flops) / 1e6;
          }};
}

Objective time_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model) {
  Objective objective{"time", "ms", [&](std::span<const int> widths) {
                        return profile::predict_network(model, nn::with_widths(spec, groups, widths)).total_us / 1000;
                      }};
  objective.cost(nn::group_counts(groups));  // says now what the model does not know
  return objective;
}

std::vector<double> cost_slope(const Objective& objective, const nn::UnitGroups& groups,
                               std::span<const double> expected) {
  std::vector<int> widths;
  for (size_t g = 0; g < expected.size(); ++g)
    widths.push_back(std::clamp(static_cast<int>(std::lround(expected[g])), 1, groups.groups[g].count));
  std::vector<double> slope;
  for (size_t g = 0; g < widths.size(); ++g) {
    const int at = widths[g], count = groups.groups[g].count;
    const int low = std::max(1, at - kSlopeReach), high = std::min(count, at + kSlopeReach);
    widths[g] = high;
    const double above = objective.cost(widths);
    widths[g] = low;
    const double below = objective.cost(widths);
    widths[g] = at;
    slope.push_back(high > low ? (above - below) / (high - low) : 0);
  }
  return slope;
}

}  // namespace fdi::compress
