// Softmax and cross-entropy in one pass per example. Called by nn/loss.
#pragma once
#include <cstdint>

namespace fdi::kernels {

// logits (batch, classes), labels (batch) in [0, classes). Writes
//   losses (batch): -log softmax(logits)[label] of each example,
//   probabilities (batch, classes), or null,
//   dlogits (batch, classes), or null: the gradient of the mean loss, (softmax - onehot) / batch. May be `logits`.
void softmax_cross_entropy(int batch, int classes, const float* logits, const int* labels, float* losses,
                           float* probabilities, float* dlogits, int threads) noexcept;

}  // namespace fdi::kernels
