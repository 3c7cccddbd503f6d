// Uniform width scaling, the plain baseline: every group keeps the same part of its units, those of the largest
// weights. Called by `fastdeepiot compress --method uniform`.
#pragma once
#include <span>
#include <vector>

#include "compress/choose.h"
#include "nn/model_file.h"

namespace fdi::compress {

// By unit: the sum of the absolute weights that produce it, batch norm folded into them (Li et al. 2017).
std::vector<double> weight_scores(const nn::Model& model, const nn::UnitGroups& groups);

// By group the width at a factor: rounded, at least 1.
std::vector<int> scaled_widths(const nn::UnitGroups& groups, double factor);

// The best units at the largest factor, at most 1, whose widths cost no more than the budget; where there is none, at
// the factor that costs least.
Keep uniform_under_budget(const nn::UnitGroups& groups, std::span<const double> score, const Cost& cost, double budget);

}  // namespace fdi::compress
