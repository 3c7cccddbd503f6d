#include "nn/loss.h"

#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "kernels/softmax.h"

namespace fdi::nn {
namespace {

// How many logits are ahead of the label's: larger, or equal and earlier. A NaN loses against everything, so that a
// diverged network has no correct answers.
int rank_of(const float* x, int classes, int label) {
  if (x[label] != x[label]) return classes;
  int ahead = 0;
  for (int c = 0; c < classes; ++c) ahead += x[c] > x[label] || (x[c] == x[label] && c < label) ? 1 : 0;
  return ahead;
}

}  // namespace

int predicted_class(std::span<const float> logits) {
  int best = -1;
  for (int c = 0; c < static_cast<int>(logits.size()); ++c)
    if (best < 0 ? logits[c] == logits[c] : logits[c] > logits[best]) best = c;
  return best;
}

SoftmaxLoss::SoftmaxLoss(int max_batch, int classes) : classes_(classes), losses_(static_cast<size_t>(max_batch)) {}

LossResult SoftmaxLoss::evaluate(core::Tensor logits, std::span<const int> labels, float* dlogits) {
  const auto batch = static_cast<int>(labels.size());
  if (logits.shape != core::Shape{batch, classes_} || labels.size() > losses_.size())
    core::fail("the loss got outputs {} for {} labels, want ({}, {}) and at most {} examples", to_string(logits.shape),
               batch, batch, classes_, losses_.size());
  LossResult result;
  result.examples = batch;
  for (int b = 0; b < batch; ++b) {
    if (labels[b] < 0 || labels[b] >= classes_)
      core::fail("example {} of the batch: label {}, want 0 to {}; the data has other classes than the network", b,
                 labels[b], classes_ - 1);
    const int rank = rank_of(logits.data + int64_t{b} * classes_, classes_, labels[b]);
    result.correct += rank == 0 ? 1 : 0;
    result.correct_top5 += rank < 5 ? 1 : 0;
  }
  kernels::softmax_cross_entropy(batch, classes_, logits.data, labels.data(), losses_.data(), nullptr, dlogits,
                                 core::threads());
  for (int b = 0; b < batch; ++b) result.loss += losses_[b];
  result.loss /= std::max(batch, 1);
  return result;
}

}  // namespace fdi::nn
