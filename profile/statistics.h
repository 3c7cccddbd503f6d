// The figures that say how good a time model is: errors, quantiles, p-values. Called by OpModel and the comparison.
#pragma once
#include <span>
#include <vector>

#include "device/measure.h"

namespace fdi::profile {

struct Errors {
  double mape = 0, mae_us = 0, r2 = 0, within_5 = 0, within_10 = 0;  // shares, not per cent
};
Errors errors(std::span<const double> predicted_us, std::span<const double> measured_us);

// p-value of each column of x (row by row): t-test of the hypothesis that its coefficient is 0 in an unconstrained
// least-squares fit of y with an intercept. 1 for a column that the others already tell (a constant, for one).
std::vector<double> p_values(const std::vector<std::vector<double>>& x, std::span<const double> y);

// The smallest value that at least `share` of n + 1 exchangeable values lie below or at, split-conformal; infinity
// where there are too few.
double conformal_quantile(std::vector<double> values, double share);

using device::median;

}  // namespace fdi::profile
