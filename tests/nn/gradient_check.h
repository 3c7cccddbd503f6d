// The numeric gradient check: a network's backward against central differences of its forward, for every weight and
// every input value. The probed function is sum(coefficient * output) with random coefficients.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/rng.h"
#include "nn/network.h"

namespace fdi::nn {

inline void fill(std::span<float> out, uint64_t stream) {  // uniform in [-1, 1)
  core::Rng rng(7, core::Stream::kTest, stream);
  for (float& v : out) v = rng.uniform(-1, 1);
}

// The slope of value() in `at`, which is put back.
template <class Value>
double central_difference(float& at, float step, const Value& value) {
  const float kept = at;
  at = kept + step;
  const double up = value();
  at = kept - step;
  const double down = value();
  at = kept;
  return (up - down) / (2.0 * step);
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
      const double slope = central_difference(at[i], step, [this] { return value(); });
      const double difference = std::abs(slope - grad[i]) / std::max(1.0, std::abs(double{grad[i]}));
      found = i == 0 ? difference : std::max(found, difference);
      largest = std::max(largest, std::abs(double{grad[i]}));
    }
    return largest > 0 || at.empty() ? found : INFINITY;  // all zeros: nothing was computed
  }
};

// The check of one network in a line, for the tests of layers.
struct GradientOptions {
  int batch = 3;
  std::vector<int> lengths{};  // Pass::lengths
  float input_scale = 1;
  bool spread_input = false;  // values 0.05 apart, none near 0: no maximum, no ReLU changes sides within a step
  float step = 1e-2F;
  double tolerance = GradientCheck::kTolerance;
};

inline void expect_gradients(const NetworkSpec& spec, const GradientOptions& options = {}) {
  GradientCheck check(spec, options.batch);
  check.pass.lengths = options.lengths;
  check.pass.step = 3;
  const auto x = check.network.input().span();
  core::Rng rng(11, core::Stream::kTest);
  const size_t middle = x.size() / 2;
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = options.spread_input ? 0.05F * (static_cast<float>(i) - static_cast<float>(middle)) + 0.025F
                                : x[i] * options.input_scale;
  if (options.spread_input) rng.shuffle(x.begin(), x.end());
  for (float& w : check.parameters.trainable()) w += rng.uniform(-0.2F, 0.2F);  // no gamma that is exactly 1
  EXPECT_LT(check.worst_of_parameters(options.step), options.tolerance);
  EXPECT_LT(check.worst_of_input(options.step), options.tolerance);
}

// One layer on the input, for the tests of single ops.
inline NetworkSpec single(Op op, const Shape& input, const Attributes& attr = {}) {
  return {"test", input, {LayerSpec{op, std::string(op_name(op)), {LayerSpec::kInput}, attr}}};
}

}  // namespace fdi::nn
