// Least squares with weights that are not negative (Lawson and Hanson 1974), on Gram matrices. Called by the tree's
// fit, for every candidate condition.
#pragma once
#include <array>

#include "profile/gram.h"

namespace fdi::profile {

struct Nnls {
  std::array<double, Gram::kMaxColumns> weight{};
  double error = 0;  // sum of squared residuals
};

// Minimises the squared distance of the target (the last column) from the weighted sum of the others. Of columns that
// say the same, one is used. No rows: all weights 0. `start`: a fit of a similar problem, whose positive weights are
// tried first; the result is the same, sooner.
Nnls solve_nnls(const Gram& gram, const Nnls* start = nullptr);

}  // namespace fdi::profile
