#include "tests/reference/elementwise.h"

#include <algorithm>
#include <cmath>

namespace fdi::reference {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

SoftmaxResult softmax_cross_entropy(int batch, int classes, const std::vector<float>& logits,
                                    const std::vector<int>& labels) {
  SoftmaxResult out;
  for (int b = 0; b < batch; ++b) {
    const float* x = logits.data() + b * classes;
    const double top = *std::max_element(x, x + classes);
    double sum = 0;
    for (int c = 0; c < classes; ++c) sum += std::exp(x[c] - top);
    out.losses.push_back(std::log(sum) + top - x[labels[b]]);
    for (int c = 0; c < classes; ++c) {
      const double p = std::exp(x[c] - top) / sum;
      out.probabilities.push_back(p);
      out.dlogits.push_back((p - (c == labels[b] ? 1 : 0)) / batch);
    }
  }
  return out;
}

BatchNormResult batch_norm(int rows, int channel, double epsilon, bool relu, const std::vector<float>& x,
                           const std::vector<float>& gamma, const std::vector<float>& beta,
                           const std::vector<float>& dy) {
  BatchNormResult out;
  out.y.resize(x.size());
  out.dx.resize(x.size());
  for (int c = 0; c < channel; ++c) {
    double mean = 0, variance = 0, sum_g = 0, sum_gx = 0;
    for (int r = 0; r < rows; ++r) mean += x[r * channel + c] / static_cast<double>(rows);
    for (int r = 0; r < rows; ++r) variance += std::pow(x[r * channel + c] - mean, 2) / rows;
    const double inv = 1 / std::sqrt(variance + epsilon);
    Values g(rows), normal(rows);
    for (int r = 0; r < rows; ++r) {
      const int i = r * channel + c;
      normal[r] = (x[i] - mean) * inv;
      out.y[i] = normal[r] * gamma[c] + beta[c];
      g[r] = relu && out.y[i] <= 0 ? 0.0 : dy[i];
      if (relu) out.y[i] = std::max(0.0, out.y[i]);
      sum_g += g[r];
      sum_gx += g[r] * normal[r];
    }
    for (int r = 0; r < rows; ++r)
      out.dx[r * channel + c] = gamma[c] * inv * (g[r] - sum_g / rows - normal[r] * sum_gx / rows);
    out.mean.push_back(mean);
    out.variance.push_back(variance);
    out.dgamma.push_back(sum_gx);
    out.dbeta.push_back(sum_g);
  }
  return out;
}

}  // namespace fdi::reference
