// Which units stay under a budget: greedy by score per cost, with the exact cost of every width, so that a step of the
// device's time is either paid for in full or not at all. Called at the end of a search, and in rounds of
// pruning.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "compress/keep.h"

namespace fdi::compress {

using Cost = std::function<double(std::span<const int> widths)>;  // of the network with these widths, one per group

// The units of highest score, so many of each group; of equal ones the first.
Keep best_units(const nn::UnitGroups& groups, std::span<const double> score, std::span<const int> widths);

// Widths of least cost: from all 1, each group is widened where the model says that wider is faster (widths up to
// kCheapSteps), until no group alone makes it cheaper. The lower bound t_min of everything that could stay.
constexpr int kCheapSteps = 64;
std::vector<int> cheapest_widths(const nn::UnitGroups& groups, const Cost& cost);

// Begins with the best units of widths `from` (empty: all units). While that costs more than the budget, the group and
// the narrower width go that lose the least score per cost saved; then, while any fit, the wider width is taken that
// gains the most score per cost added, those that add nothing first. A step may be as wide as it likes, so that none is
// stuck before a flat or a cliff of the cost. `score`: by unit, not negative. Deterministic. Where even
// cheapest_widths() cost more than the budget, the least that was found: whether a budget can be kept is asked before
// (check_budgets), whether it was kept after, so that no work is lost in between.
Keep choose_under_budget(const nn::UnitGroups& groups, std::span<const double> score, const Cost& cost, double budget,
                         std::span<const int> from = {});

}  // namespace fdi::compress
