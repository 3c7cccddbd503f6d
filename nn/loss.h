// Softmax cross-entropy over logits (batch, classes): the loss of every classifier here. Called by Trainer and eval.
#pragma once
#include <span>
#include <vector>

#include "core/shape.h"

namespace fdi::nn {

struct LossResult {
  double loss = 0;  // mean over the examples
  int examples = 0;
  int correct = 0;       // the label has the largest logit (the first of equal ones counts)
  int correct_top5 = 0;  // the label is among the five largest
};

// The class with the largest logit, the first of equal ones; a NaN is never it. -1 where all are NaN.
int predicted_class(std::span<const float> logits);

class SoftmaxLoss {
 public:
  SoftmaxLoss(int max_batch, int classes);
  // labels: one per example, in [0, classes), else throws Error. dlogits (batch, classes): the gradient of the mean
  // loss is written there; null where it is not wanted. Allocates nothing.
  LossResult evaluate(core::Tensor logits, std::span<const int> labels, float* dlogits = nullptr);
  std::span<const float> losses() const { return losses_; }  // of each example of the last evaluate()

 private:
  int classes_;
  std::vector<float> losses_;  // per example
};

}  // namespace fdi::nn
