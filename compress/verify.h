// Verification: whole networks timed on this machine, in turn, and the choice of units by what was measured. Called by
// every command that claims to make one faster.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compress/keep.h"
#include "device/engine.h"
#include "device/measure.h"
#include "nn/model_file.h"

namespace fdi::compress {

struct SteadyOptions {
  int rounds = 5;  // of measuring, whose median counts: a machine is disturbed for tenths of seconds at a time
  double max_spread = 0.01;  // of the rounds, as rel_mad; beyond it they are measured again, and all of them count
  int tries = 4;
};
using Round = std::function<std::vector<device::Timing>()>;  // measures all contenders once, in turn
// By contender: the median of the rounds' medians, and their spread.
std::vector<device::Timing> steady_times(const Round& round, const SteadyOptions& options = {});

// One image at a time on core::threads() threads, what inference runs; in turn, a tenth of a second each, again and
// again, so that ratios are honest.
std::vector<device::Timing> time_models(const device::Engine& engine, const std::vector<const nn::Model*>& models);

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
// does, the fastest. `least_ms`: choose() is asked for no less. Measured are structures: their time does not depend on
// weights.
std::vector<Candidate> choose_measured(double max_ms, double least_ms, const std::function<Keep(double ms)>& choose,
                                       const std::function<double(const Keep&)>& predict_ms,
                                       const std::function<std::vector<double>(const std::vector<Keep>&)>& measure_ms,
                                       const VerifyOptions& options = {});

}  // namespace fdi::compress
