// Checkpoints: a TrainState in one safetensors file, written atomically, so that a run continues to the numbers that it
// would have reached uninterrupted. Called by Trainer after every epoch and by `train --resume`.
#pragma once
#include <string>

#include "nn/trainer.h"

namespace fdi::nn {

// Throws Error where the file cannot be written; the previous checkpoint is then untouched.
void save_checkpoint(const std::string& path, TrainState& state);
// Throws Error for a file that is damaged, cut, or no checkpoint.
TrainState load_checkpoint(const std::string& path);
// Throws Error that names the difference where a run of `before` must not be continued as `spec` under `config`.
void check_resumable(const std::string& path, const TrainState& before, const NetworkSpec& spec,
                     const TrainConfig& config);

}  // namespace fdi::nn
