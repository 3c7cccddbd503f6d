// Accuracy, loss and the confusion of classes over one pass of a BatchSource. Called by Trainer and `eval`.
#pragma once
#include <cstdint>
#include <vector>

#include "core/progress.h"
#include "nn/batch_source.h"
#include "nn/network.h"

namespace fdi::nn {

struct Evaluation {
  int64_t examples = 0, correct = 0, correct_top5 = 0;
  double loss = 0;  // mean cross-entropy
  int classes = 0;
  std::vector<int64_t> confusion;  // (true class, predicted class); not in it: examples whose outputs are all NaN
  double accuracy() const { return part(correct); }
  double accuracy_top5() const { return part(correct_top5); }
  double part(int64_t n) const { return examples > 0 ? static_cast<double>(n) / static_cast<double>(examples) : 0; }
  int64_t count(int truth, int predicted) const {
    return confusion[static_cast<size_t>(truth) * static_cast<size_t>(classes) + static_cast<size_t>(predicted)];
  }
};

// Runs what inference runs (batch norm folded, ReLU fused), up to `batch` examples at once, over the source's pass of
// epoch 1. `progress` may be null.
Evaluation evaluate(const NetworkSpec& spec, const Parameters& parameters, int batch, BatchSource& source,
                    core::Progress* progress = nullptr);

}  // namespace fdi::nn
