// The learning rate as a function of the step number: nothing to save, so a resumed run follows the same curve.
// PyTorch's formulas (torch.optim.lr_scheduler), advanced once per step. Called by Trainer.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fdi::nn {

struct ScheduleConfig {
  std::string kind = "one-cycle";  // constant, step, cosine, one-cycle
  // constant, step, cosine: the rate first rises linearly over this many epochs, (s + 1) / (w + 1) of it at step s of
  // w (LinearLR with start_factor 1 / (w + 1)); the schedule proper then covers the remaining steps (SequentialLR).
  double warm_up_epochs = 0;
  double step_epochs = 30;  // step: every so many epochs ...
  double gamma = 0.1;       // ... the rate is multiplied by this (StepLR)
  // one-cycle (OneCycleLR, cosine, two phases): from lr / div_factor up to lr over the first pct_start of all steps,
  // then down to lr / div_factor / final_div_factor.
  double pct_start = 0.3, div_factor = 25, final_div_factor = 1e4;
  // Lets momentum (adam: beta1) run against the rate, from max_momentum to base_momentum and back. PyTorch does so
  // unless told not to; here it is off, so that the optimizer's momentum is what counts.
  bool cycle_momentum = false;
  double base_momentum = 0.85, max_momentum = 0.95;
};

nlohmann::json schedule_to_json(const ScheduleConfig& config);  // only the keys that the kind reads
ScheduleConfig schedule_from_json(const nlohmann::json& json);
void check_schedule(const ScheduleConfig& config);  // throws Error for an unknown kind or a value out of range

struct Rates {
  double lr, momentum;
};
// What step `step` (from 0) of `steps_per_epoch * epochs` uses; lr and momentum are the configured ones.
Rates rates_at(const ScheduleConfig& config, double lr, double momentum, int64_t step, int64_t steps_per_epoch,
               int epochs);

}  // namespace fdi::nn
