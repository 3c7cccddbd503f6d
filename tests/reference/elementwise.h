// Naive twins of kernels/elementwise, kernels/softmax and kernels/batch_norm: plain loops in double.
#pragma once
#include <vector>

namespace fdi::reference {

using Values = std::vector<double>;

double sigmoid(double x);

struct SoftmaxResult {
  Values losses, probabilities, dlogits;
};
SoftmaxResult softmax_cross_entropy(int batch, int classes, const std::vector<float>& logits,
                                    const std::vector<int>& labels);

struct BatchNormResult {
  Values y, mean, variance;  // variance: biased
  Values dx, dgamma, dbeta;
};
BatchNormResult batch_norm(int rows, int channel, double epsilon, bool relu, const std::vector<float>& x,
                           const std::vector<float>& gamma, const std::vector<float>& beta,
                           const std::vector<float>& dy);

}  // namespace fdi::reference
