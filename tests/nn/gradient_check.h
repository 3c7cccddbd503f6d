// The numeric gradient check: a network's backward against central differences of its forward, for every weight and
// every input value. The probed function is sum(coefficient * output) with random coefficients.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/rng.h"
#include "nn/network.h"

namespace fdi::nn {

inline void fill(std::span<float> out, uint64_t stream) {  // uniform in [-1, 1)
  core::Rng rng(7, core::Stream::kTest, stream);
  for (float& v : out) v = rng.uniform(-1, 1);
}

class GradientCheck {
 public:
  // Rounding: sums of about 100 products near 1 have errors of about 1e-6, and differences divide by 2e-2.
  static constexpr double kTolerance = 2e-3;

  // `used` examples of `batch` planned ones; 0: all. Biases and other zeros are drawn, too, so that they count.
  explicit GradientCheck(const NetworkSpec& spec, int batch = 2, int used = 0)
      : parameters(spec), network(spec, parameters, batch, Mode::kTraining, true) {
    parameters.initialize(3);
    for (const auto& e : parameters.entries())
      if (e.spec.init == Init::kZeros && e.spec.trainable)
        fill(parameters.tensor(e).span(), 100 + static_cast<uint64_t>(e.offset));
    pass.batch = used == 0 ? batch : used;
    pass.training = true;
    fill(network.input().span(), 1);
    coefficient.resize(static_cast<size_t>(network.forward(pass).size()));
    fill(coefficient, 2);
  }

  // Largest |backward - difference|, relative where the gradient is larger than 1. The step is taken in both
  // directions; choose a smaller one where the function is curved, a larger one where rounding dominates.
  double worst_of_parameters(float step = 1e-2F) {
    backward();
    const std::vector<float> grad(network.gradients().begin(), network.gradients().end());
    return worst(parameters.trainable(), grad, step);
  }
  double worst_of_input(float step = 1e-2F) {
    backward();
    const auto dx = network.input_gradient().span();
    const std::vector<float> grad(dx.begin(), dx.end());
    return worst(network.input().span().first(grad.size()), grad, step);
  }

  double value() {
    const Tensor y = network.forward(pass);
    double sum = 0;
    for (int64_t i = 0; i < y.size(); ++i) sum += double{y.data[i]} * coefficient[static_cast<size_t>(i)];
    return sum;
  }
  void backward() {
    const Tensor y = network.forward(pass);
    std::vector<float> dy = coefficient;  // backward may overwrite it
    network.backward(pass, {dy.data(), y.shape});
  }

  Parameters parameters;
  Network network;
  Pass pass;
  std::vector<float> coefficient;

 private:
  double worst(std::span<float> at, std::span<const float> grad, float step) {
    double found = at.empty() ? 0 : INFINITY, largest = 0;
    for (size_t i = 0; i < at.size(); ++i) {
      const float kept = at[i];
      at[i] = kept + step;
      const double up = value();
      at[i] = kept - step;
      const double down = value();
      at[i] = kept;
      const double difference =
          std::abs((up - down) / (2.0 * step) - grad[i]) / std::max(1.0, std::abs(double{grad[i]}));
      found = i == 0 ? difference : std::max(found, difference);
      largest = std::max(largest, std::abs(double{grad[i]}));
    }
    return largest > 0 || at.empty() ? found : INFINITY;  // all zeros: nothing was computed
  }
};

}  // namespace fdi::nn
