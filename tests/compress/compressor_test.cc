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

// One fc whose units can go, and its p by the formula.
nn::NetworkSpec hidden_layer(int in, int units) {
  return {"hidden",
          {in},
          {{Op::kFc, "hidden", {nn::LayerSpec::kInput}, {.units = units}}, {Op::kFc, "out", {0}, {.units = 2}}}};
}
std::vector<double> p_by_hand(const nn::Parameters& critic, nn::Parameters& own) {
  const auto tensor = [&](const nn::Parameters& of, const char* name) { return of.tensor(*of.find(name)); };
  const core::ConstTensor weight = tensor(critic, "hidden.weight");
  const int in = weight.shape[0], units = weight.shape[1];
  const float* bias = tensor(critic, "hidden.bias").data;
  const float *a = tensor(own, "a0.weight").data, *b = tensor(own, "b0.weight").data,
              *t = tensor(own, "t0.weight").data;
  const float *w = tensor(own, "lstm.input_weight").data, *c = tensor(own, "lstm.bias").data;
  constexpr int n = Compressor::kState;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  std::vector<double> look(static_cast<size_t>(units)), v(n), h(n), p;
  for (int u = 0; u < units; ++u) look[static_cast<size_t>(u)] = double{a[in]} * bias[u];
  for (int64_t i = 0; i < in; ++i)
    for (int u = 0; u < units; ++u) look[static_cast<size_t>(u)] += double{a[i]} * weight.data[i * units + u];
  for (int u = 0; u < units; ++u)
    for (int j = 0; j < n; ++j) v[static_cast<size_t>(j)] += look[static_cast<size_t>(u)] * b[u * n + j];
  for (int j = 0; j < n; ++j) {
    const auto gate = [&](int k) {  // i, f, g, o; the state before is zero
      double sum = c[k * n + j];
      for (int i = 0; i < n; ++i) sum += v[static_cast<size_t>(i)] * w[i * 4 * n + k * n + j];
      return sum;
    };
    h[static_cast<size_t>(j)] = sigmoid(gate(3)) * std::tanh(sigmoid(gate(0)) * std::tanh(gate(2)));
  }
  for (int u = 0; u < units; ++u) {
    double sum = 0;
    for (int j = 0; j < n; ++j) sum += h[static_cast<size_t>(j)] * t[j * units + u];
    p.push_back(sigmoid(sum));
  }
  return p;
}

// p by unit depends on the unit's own columns in the way of the formula: of few weights; of columns that are taken in
// several pieces; of more weights than an axis of a tensor may have.
TEST(Compressor, ReadsTheColumnsOfEachUnit) {
  const int before = core::threads();
  for (const auto& [in, units] : {std::pair{2, 3}, {600, 5}, {4099, 4100}}) {
    const nn::NetworkSpec spec = hidden_layer(in, units);
    const nn::Parameters critic = random_parameters(spec);
    Compressor compressor(spec, nn::unit_groups(spec), 4);
    EXPECT_EQ(compressor.spec().input.size(), int64_t{in + 1} * units) << "weights and a bias";
    const std::vector<double> want = p_by_hand(critic, compressor.parameters());
    std::vector<float> first;
    for (const int threads : {1, 2, 3}) {
      core::set_threads(threads);
      const auto p = compressor.forward(critic);
      for (size_t u = 0; u < p.size(); ++u) ASSERT_NEAR(p[u], want[u], 1e-5) << in << " inputs, unit " << u;
      if (first.empty()) first.assign(p.begin(), p.end());
      EXPECT_TRUE(std::ranges::equal(p, first)) << threads << " threads";
    }
  }
  core::set_threads(before);
}

TEST(Compressor, RefusesWhatNoTensorHolds) {
  // 4099 * 4097 weights, then 3 * 4100: more than 2^24, and no common divisor.
  const nn::NetworkSpec spec{"odd",
                             {4096},
                             {{Op::kFc, "one", {nn::LayerSpec::kInput}, {.units = 4099}},
                              {Op::kFc, "two", {0}, {.units = 3}},
                              {Op::kFc, "out", {1}, {.units = 2}}}};
  try {
    Compressor(spec, nn::unit_groups(spec), 1);
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("16805903 of them"));
    EXPECT_THAT(e.what(), testing::HasSubstr("widths that are multiples of 64"));
  }
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
