// Whether every batch of a training can be learnt from: said before the first step. Called by whatever trains.
#pragma once
#include <cstdint>
#include <string_view>

#include "nn/spec.h"

namespace fdi::nn {

// Throws Error where a batch norm would be trained on a single value per channel, which has no deviation: with batches
// of one example, or with a last one of one example, behind a fully connected layer or on maps of 1x1. `flag` is what
// sets the batch size, for the message. A run that is `resumed` keeps its batch size: the message then asks for a new
// run.
void check_batches(const NetworkSpec& spec, int64_t examples, int batch, std::string_view flag, bool resumed = false);

}  // namespace fdi::nn
