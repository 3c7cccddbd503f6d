// Verification: units are chosen by what was measured, not by what a model promises. Called by `compress`.
#pragma once
#include <functional>
#include <vector>

#include "compress/keep.h"

namespace fdi::compress {

// A time that is measured twice differs by this much (quiet machine): only what keeps a budget with so much to spare
// keeps it the next time, too.
constexpr double kTimingNoise = 0.01;

// A choice of units, predicted and measured.
struct Candidate {
  Keep keep;
  double predicted_ms = 0, measured_ms = 0;
  bool chosen = false;
};
struct VerifyOptions {
  int rounds = 4;       // of choosing and measuring
  double slack = 0.03;  // a measured time so little under the budget ends them
};
// Chooses units so that their measured time is just under the budget. In each round three choices around the budget are
// measured in turn; where none is both under it and within the slack, the budget given to `choose` is scaled by what
// the model was off by, and the next round begins. Of all, the slowest that keeps the budget is chosen; where none
// does, the fastest. choose(ms): the units of at most `ms` predicted, the fastest there are where none take so little.
// Measured are structures: their time does not depend on weights.
std::vector<Candidate> choose_measured(double max_ms, const std::function<Keep(double ms)>& choose,
                                       const std::function<double(const Keep&)>& predict_ms,
                                       const std::function<std::vector<double>(const std::vector<Keep>&)>& measure_ms,
                                       const VerifyOptions& options = {});

}  // namespace fdi::compress
