// Verification: whole networks timed on this machine, in turn. Called by every command that claims to make one faster.
#pragma once
#include <string>
#include <vector>

#include "device/engine.h"
#include "device/measure.h"
#include "nn/model_file.h"

namespace fdi::compress {

// One image at a time on core::threads() threads, what inference runs; A B C A B C ..., so that ratios are honest.
std::vector<device::Timing> time_models(const device::Engine& engine, const std::vector<const nn::Model*>& models,
                                        const device::MeasureOptions& options = {});

}  // namespace fdi::compress
