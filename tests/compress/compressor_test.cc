// The compressor: which numbers it looks at, and its gradient against numeric differences.
#include "compress/compressor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "nn/zoo.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

using nn::Op;

nn::Parameters random_parameters(const nn::NetworkSpec& spec) {
  nn::Parameters parameters(spec);
  core::Rng rng(5, core::Stream::kTest);
  for (float& v : parameters.all()) v = rng.uniform(-1, 1);
  return parameters;
}

TEST(Compressor, GradientMatchesDifferences) {
  const nn::NetworkSpec spec = nn::deepsense_like(true);
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const nn::Parameters critic = random_parameters(spec);
  Compressor compressor(spec, groups, 1);
  std::vector<float> coefficient(static_cast<size_t>(groups.units()));
  core::Rng rng(6, core::Stream::kTest);
  for (float& c : coefficient) c = rng.uniform(-1, 1);
  const auto value = [&] {
    const auto p = compressor.forward(critic);
    double sum = 0;
    for (size_t u = 0; u < p.size(); ++u) sum += double{p[u]} * coefficient[u];
    return sum;
  };
  value();
  const auto gradient = compressor.backward(coefficient);
  const auto weights = compressor.parameters().trainable();
  double largest = 0;
  for (size_t i = 0; i < weights.size(); i += 37) {
    const float kept = weights[i], step = 1e-2F;
    weights[i] = kept + step;
    const double up = value();
    weights[i] = kept - step;
    const double down = value();
    weights[i] = kept;
    const double numeric = (up - down) / (2.0 * step);
    // p is rounded to 1e-7 and the difference divided by 2e-2; curvature adds about as much.
    EXPECT_NEAR(gradient[i], numeric, 1e-3 * std::max(1.0, std::abs(numeric))) << i;
    largest = std::max(largest, std::abs(numeric));
  }
  EXPECT_GT(largest, 1e-2);
}

// p by unit depends on the unit's own columns in the way of the formula, for a layer whose numbers can be followed.
TEST(Compressor, ReadsTheColumnsOfEachUnit) {
  const nn::NetworkSpec spec{
      "two", {2}, {{Op::kFc, "hidden", {nn::LayerSpec::kInput}, {.units = 3}}, {Op::kFc, "out", {0}, {.units = 2}}}};
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const nn::Parameters critic = random_parameters(spec);
  Compressor compressor(spec, groups, 4);
  ASSERT_EQ(compressor.spec().input, (core::Shape{9}));  // (2 weights + a bias) * 3 units
  const std::vector<float> p(compressor.forward(critic).begin(), compressor.forward(critic).end());

  nn::Parameters& own = compressor.parameters();
  const auto tensor = [&](const nn::Parameters& of, const char* name) { return of.tensor(*of.find(name)); };
  const float *weight = tensor(critic, "hidden.weight").data, *bias = tensor(critic, "hidden.bias").data;
  const float *a = tensor(own, "a0.weight").data, *b = tensor(own, "b0.weight").data,
              *t = tensor(own, "t0.weight").data;
  const float *w = tensor(own, "lstm.input_weight").data, *c = tensor(own, "lstm.bias").data;
  constexpr int n = Compressor::kState;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  std::vector<double> v(n), h(n);
  for (int j = 0; j < n; ++j)
    for (int u = 0; u < 3; ++u) v[j] += (a[0] * weight[u] + a[1] * weight[3 + u] + a[2] * bias[u]) * b[u * n + j];
  for (int j = 0; j < n; ++j) {
    const auto gate = [&](int k) {  // i, f, g, o; the state before is zero
      double sum = c[k * n + j];
      for (int i = 0; i < n; ++i) sum += v[i] * w[i * 4 * n + k * n + j];
      return sum;
    };
    h[j] = sigmoid(gate(3)) * std::tanh(sigmoid(gate(0)) * std::tanh(gate(2)));
  }
  for (int u = 0; u < 3; ++u) {
    double sum = 0;
    for (int j = 0; j < n; ++j) sum += h[j] * t[j * 3 + u];
    EXPECT_NEAR(p[static_cast<size_t>(u)], sigmoid(sum), 1e-6);
  }
}

// Columns of 600 weights, taken in several pieces: each unit sees its own, whatever the number of threads.
TEST(Compressor, LongColumnsArriveWhole) {
  constexpr int kIn = 600, kUnits = 5;
  const nn::NetworkSpec spec{
      "long",
      {kIn},
      {{Op::kFc, "hidden", {nn::LayerSpec::kInput}, {.units = kUnits}}, {Op::kFc, "out", {0}, {.units = 2}}}};
  const nn::UnitGroups groups = nn::unit_groups(spec);
  nn::Parameters critic = random_parameters(spec);
  Compressor compressor(spec, groups, 1);
  nn::Parameters& own = compressor.parameters();
  const auto tensor = [&](nn::Parameters& of, const char* name) { return of.tensor(*of.find(name)); };
  const int before = core::threads();
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    core::set_threads(threads);
    const auto p = compressor.forward(critic);
    if (first.empty()) first.assign(p.begin(), p.end());
    EXPECT_TRUE(std::ranges::equal(p, first)) << threads;
  }
  core::set_threads(before);
  // Only the weights' product with a counts: moving all of it into the first number of each column changes nothing.
  const core::Tensor weight = tensor(critic, "hidden.weight"), bias = tensor(critic, "hidden.bias");
  const float* a = tensor(own, "a0.weight").data;
  for (int u = 0; u < kUnits; ++u) {
    double sum = 0;
    for (int i = 0; i < kIn; ++i) sum += double{a[i]} * weight.data[i * kUnits + u];
    for (int i = 0; i < kIn; ++i) weight.data[i * kUnits + u] = 0;
    weight.data[u] = static_cast<float>(sum / a[0]);
  }
  EXPECT_NE(bias.data[0], 0);
  const auto p = compressor.forward(critic);
  for (size_t u = 0; u < kUnits; ++u) EXPECT_NEAR(p[u], first[u], 1e-5);
}

TEST(Compressor, ParallelBranchesShareAStep) {
  const nn::NetworkSpec spec = nn::deepsense_like(true);  // acc_conv1 and gyro_conv1 have columns of 1 * 4 weights
  const Compressor compressor(spec, nn::unit_groups(spec), 1);
  int steps = 0;
  for (const nn::LayerSpec& layer : compressor.spec().layers)
    if (layer.name.starts_with("a") && layer.op == Op::kFc) ++steps;
  EXPECT_EQ(steps, 6);  // conv1 of both, conv2 of each (they read 6 and 4 channels), merge, gru1, gru2
}

TEST(Compressor, TiedProducersAreStackedByRows) {
  const nn::NetworkSpec spec = nn::make_zoo("resnet20", {.width = 0.25});
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const Compressor compressor(spec, groups, 1);
  int64_t rows = 0;  // of conv1's four units: 3 * 9 of conv1, 4 * 9 of each of three convolutions
  for (const nn::LayerSpec& layer : compressor.spec().layers)
    if (layer.name == "m0_matrix") rows = layer.attr.shape[1];
  EXPECT_EQ(rows, 9 * 3 + 3 * 9 * 4);
}

TEST(Compressor, StartsUndecidedAndDependsOnTheSeed) {
  const nn::NetworkSpec spec = nn::make_zoo("lenet");
  nn::Parameters critic(spec);
  critic.initialize(1);
  const nn::UnitGroups groups = nn::unit_groups(spec);
  Compressor one(spec, groups, 1), two(spec, groups, 2), again(spec, groups, 1);
  const auto p = one.forward(critic);
  for (const float v : p) EXPECT_NEAR(v, 0.5F, 0.2F);
  EXPECT_FALSE(std::equal(p.begin(), p.end(), two.forward(critic).begin()));
  EXPECT_TRUE(std::equal(p.begin(), p.end(), again.forward(critic).begin()));
  Compressor high(spec, groups, 1, 0.9);
  for (const float v : high.forward(critic)) EXPECT_NEAR(v, 0.9F, 0.06F);
}

}  // namespace
}  // namespace fdi::compress
