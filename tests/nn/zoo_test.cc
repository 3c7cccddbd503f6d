// The zoo: shapes, and parameters and FLOPs as counted by hand.
#include "nn/zoo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/summary.h"

namespace fdi::nn {
namespace {

int64_t multiply_flops(const NetworkSpec& spec) {  // of convolutions and fully connected layers
  int64_t sum = 0;
  for (const LayerSummary& row : summarize(spec).layers) sum += row.op == "conv2d" || row.op == "fc" ? row.flops : 0;
  return sum;
}

TEST(Zoo, Vgg16IsTheCifarForm) {
  const NetworkSpec spec = make_zoo("vgg16");
  const Summary s = summarize(spec);
  // Convolutions 9 * in * out, norms 2 * 4224, fc 512 * 512 + 512, 512 * 10 + 10.
  EXPECT_EQ(s.parameters, 14710464 + 2 * 4224 + 262656 + 5130);
  EXPECT_EQ(s.state, 2 * 4224);
  EXPECT_EQ(multiply_flops(spec), 2 * (313196544 + 262144 + 5120));  // 0.627 GFLOP
  EXPECT_EQ(s.layers.back().output, (Shape{10}));
  EXPECT_EQ(std::count_if(spec.layers.begin(), spec.layers.end(), [](auto& l) { return l.op == Op::kConv2d; }), 13);
}

TEST(Zoo, Vgg16ImagenetHasThePublishedSize) {
  const Summary s = summarize(make_zoo("vgg16-imagenet"));
  // 138,357,544 with a bias per convolution (4224 in all); here a norm's gamma and beta instead.
  EXPECT_EQ(s.parameters, 138357544 - 4224 + 2 * 4224);
  EXPECT_EQ(s.layers.back().output, (Shape{1000}));
  EXPECT_EQ(multiply_flops(make_zoo("vgg16-imagenet")), 2 * (int64_t{15346630656} + 102760448 + 16777216 + 4096000));
}

TEST(Zoo, Resnet20IsADag) {
  const NetworkSpec spec = make_zoo("resnet20");
  const Summary s = summarize(spec);
  // Convolutions 267696, shortcuts 512 + 2048, norms 2 * (688 + 96), fc 650.
  EXPECT_EQ(s.parameters, 267696 + 2560 + 2 * 784 + 650);
  EXPECT_EQ(std::count_if(spec.layers.begin(), spec.layers.end(), [](auto& l) { return l.op == Op::kAdd; }), 9);
  EXPECT_EQ(s.layers.back().output, (Shape{10}));
}

TEST(Zoo, LenetIsSmall) { EXPECT_EQ(summarize(make_zoo("lenet")).parameters, 456 + 2416 + 123000 + 10164 + 850); }

TEST(Zoo, WidthScalesHiddenWidthsOnly) {
  const NetworkSpec spec = make_zoo("vgg16", {.width = 0.25, .classes = 7, .input = {64, 64, 3}});
  EXPECT_EQ(spec.layers[0].attr.units, 16);
  EXPECT_EQ(spec.layers.back().attr.units, 7);
  EXPECT_EQ(spec.input, (Shape{64, 64, 3}));
  for (const std::string& name : zoo_names()) {
    const NetworkSpec tiny = make_zoo(name, {.width = 1e-6});
    EXPECT_TRUE(std::all_of(tiny.layers.begin(), tiny.layers.end() - 1, [](auto& l) { return l.attr.units <= 1; }))
        << name;
  }
}

TEST(Zoo, EveryNetworkSurvivesJson) {
  for (const std::string& name : zoo_names()) {
    const NetworkSpec spec = make_zoo(name);
    EXPECT_EQ(spec.name, name);
    EXPECT_EQ(spec_from_json(spec_to_json(spec), name), spec);
  }
}

TEST(Zoo, RefusesWhatItDoesNotKnow) {
  const auto message = [](std::string_view name, const ZooOptions& options) -> std::string {
    try {
      make_zoo(name, options);
    } catch (const core::Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(message("vgg", {}), "no network is called \"vgg\"; known: vgg16, vgg16-imagenet, resnet20, lenet");
  EXPECT_THAT(message("vgg16", {.width = 0}), ::testing::HasSubstr("width 0"));
  EXPECT_THAT(message("vgg16", {.width = NAN}), ::testing::HasSubstr("width nan"));
  EXPECT_THAT(message("vgg16", {.classes = -1}), ::testing::HasSubstr("-1 classes"));
  EXPECT_THAT(message("vgg16", {.input = {8, 8, 3}}), ::testing::HasSubstr("[max_pool pool4]"));
  EXPECT_THAT(message("vgg16", {.input = {64}}), ::testing::HasSubstr("[conv2d conv1_1]"));
}

}  // namespace
}  // namespace fdi::nn
