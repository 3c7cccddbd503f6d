#include "compress/uniform.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "nn/fuse.h"

namespace fdi::compress {

std::vector<double> weight_scores(const nn::Model& model, const nn::UnitGroups& groups) {
  const nn::FoldedNetwork folded = nn::fold_batch_norm(model.spec, model.parameters);
  const nn::UnitGroups units = nn::unit_groups(folded.spec);
  CHECK(nn::group_counts(units) == nn::group_counts(groups));
  std::vector<double> score(static_cast<size_t>(groups.units()));
  for (const nn::UnitSlice& slice : units.slices) {
    if (slice.reads) continue;
    const core::ConstTensor w = folded.parameters.tensor(*folded.parameters.find(slice.tensor));
    if (w.shape.rank < 2) continue;  // a bias, or what a batch norm that was not folded holds
    const auto columns = static_cast<int64_t>(slice.unit.size());
    for (int64_t i = 0; i < w.size(); ++i)
      if (const int unit = slice.unit[static_cast<size_t>(i % columns)]; unit != nn::kFixedUnit)
        score[static_cast<size_t>(unit)] += std::abs(double{w.data[i]});
  }
  return score;
}

std::vector<int> scaled_widths(const nn::UnitGroups& groups, double factor) {
  std::vector<int> widths;
  widths.reserve(groups.groups.size());
  for (const nn::UnitGroup& group : groups.groups)
    widths.push_back(std::clamp(static_cast<int>(std::lround(factor * group.count)), 1, group.count));
  return widths;
}

Keep uniform_under_budget(const nn::UnitGroups& groups, std::span<const double> score, const Cost& cost,
                          double budget) {
  // Where a width steps, from the network as it is to nothing; between two of them all factors mean the same widths.
  std::vector<double> steps{0, 1};
  for (const nn::UnitGroup& group : groups.groups)
    for (int width = 1; width < group.count; ++width) steps.push_back((width + 0.5) / group.count);
  std::ranges::sort(steps, std::greater{});
  std::vector<int> cheapest;
  double least = INFINITY;
  for (size_t i = 0; i < steps.size(); ++i) {
    // Times have steps of their own: a smaller factor may cost more, so each is asked for.
    const double factor = i == 0 ? 1 : (steps[i - 1] + steps[i]) / 2;
    std::vector<int> widths = scaled_widths(groups, factor);
    const double costs = cost(widths);
    if (costs <= budget) return best_units(groups, score, widths);
    if (costs < least) {
      least = costs;
      cheapest = std::move(widths);
    }
  }
  return best_units(groups, score, cheapest);
}

}  // namespace fdi::compress
