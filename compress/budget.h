// Whether budgets can be met at all: said before any training. Called by `fastdeepiot compress`.
#pragma once
#include <vector>

#include "compress/objective.h"
#include "compress/search.h"

namespace fdi::compress {

// Throws Error of one line where all limits hold already; where one of them is below what the narrowest structure costs
// (of time: all widths 1, or the few units that the model says are faster; the layers that take most of it are named);
// where they cannot hold together. `model` may be null where no limit is on the time.
void check_budgets(const std::vector<Limit>& limits, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                   const profile::TimeModel* model);

}  // namespace fdi::compress
