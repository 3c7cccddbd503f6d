// Narrowed networks: what must agree does, what cannot change stays, and those drawn at random.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "nn/layer.h"
#include "nn/summary.h"
#include "nn/zoo.h"
#include "profile/sampler.h"

namespace fdi::profile {
namespace {

nn::NetworkSpec spec_of(const char* layers) {
  return nn::spec_from_json(
      nn::parse_json(std::string(R"({"name": "n", "input": [8, 8, 3], "layers": [)") + layers + "]}", "test"), "test");
}

TEST(Narrow, LayersThatMustAgreeDo) {
  const nn::NetworkSpec spec = spec_of(R"(
    {"op": "conv2d", "name": "a", "inputs": ["input"], "kernel": 3, "units": 16},
    {"op": "conv2d", "name": "b", "inputs": ["a"], "kernel": 3, "units": 16},
    {"op": "add", "name": "s", "inputs": ["a", "b"]},
    {"op": "conv2d", "name": "c", "inputs": ["s"], "kernel": 3, "units": 8},
    {"op": "concat", "name": "k", "inputs": ["s", "c"], "axis": 2},
    {"op": "flatten", "name": "f", "inputs": ["k"]},
    {"op": "fc", "name": "d", "inputs": ["f"], "units": 32},
    {"op": "fc", "name": "out", "inputs": ["d"], "units": 10})");
  int asked = 0;
  const nn::NetworkSpec small = narrow(spec, [&](int width) { return width - ++asked; });
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(small.layers[0].attr.units, 15);
  EXPECT_EQ(small.layers[1].attr.units, 15);
  EXPECT_EQ(small.layers[3].attr.units, 6);
  EXPECT_EQ(small.layers[6].attr.units, 29);
  EXPECT_EQ(small.layers[7].attr.units, 10);
  EXPECT_EQ(nn::output_shapes(small)[5], (nn::Shape{8 * 8 * 21}));
}

TEST(Narrow, WhatCannotChangeStays) {
  const nn::NetworkSpec spec = spec_of(R"(
    {"op": "conv2d", "name": "a", "inputs": ["input"], "kernel": 3, "units": 3},
    {"op": "add", "name": "s", "inputs": ["input", "a"]},
    {"op": "conv2d", "name": "b", "inputs": ["s"], "kernel": 3, "units": 12},
    {"op": "slice", "name": "half", "inputs": ["b"], "axis": 2, "begin": 6, "end": 12},
    {"op": "conv2d", "name": "c", "inputs": ["half"], "kernel": 3, "units": 4},
    {"op": "reshape", "name": "r", "inputs": ["c"], "shape": [8, 32]},
    {"op": "gru", "name": "g", "inputs": ["r"], "units": 9},
    {"op": "time_mean", "name": "m", "inputs": ["g"]},
    {"op": "fc", "name": "out", "inputs": ["m"], "units": 5})");
  const nn::NetworkSpec small = narrow(spec, [](int width) { return width - 1; });
  EXPECT_EQ(small.layers[0].attr.units, 3);
  EXPECT_EQ(small.layers[2].attr.units, 12);
  EXPECT_EQ(small.layers[4].attr.units, 3);
  EXPECT_EQ(nn::output_shapes(small)[5], (nn::Shape{8, 24}));  // reshape follows
  EXPECT_EQ(small.layers[6].attr.units, 8);
  EXPECT_EQ(small.layers[8].attr.units, 5);
}

// The same for the same seed; widths from 1 to the layer's own; neither all large nor all small.
TEST(Narrowed, NetworksToTryAModelOn) {
  const nn::NetworkSpec spec = nn::make_zoo("vgg16");
  const std::vector<nn::NetworkSpec> some = narrowed_at_random(spec, 20, 1);
  ASSERT_EQ(some.size(), 20U);
  EXPECT_TRUE(std::ranges::equal(some, narrowed_at_random(spec, 20, 1)));
  EXPECT_FALSE(std::ranges::equal(some, narrowed_at_random(spec, 20, 2)));
  const double whole = static_cast<double>(nn::summarize(spec).parameters);
  double least = 1, most = 0;
  for (const nn::NetworkSpec& network : some) {
    for (size_t i = 0; i < spec.layers.size(); ++i) {
      EXPECT_LE(network.layers[i].attr.units, spec.layers[i].attr.units);
      EXPECT_GE(network.layers[i].attr.units, std::min(1, spec.layers[i].attr.units));
    }
    const double share = static_cast<double>(nn::summarize(network).parameters) / whole;
    least = std::min(least, share);
    most = std::max(most, share);
  }
  EXPECT_LT(least, 0.05);
  EXPECT_GT(most, 0.4);
}

}  // namespace
}  // namespace fdi::profile
