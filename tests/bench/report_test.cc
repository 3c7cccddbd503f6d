// The contract of the benchmarks' JSON, on sizes of no interest; no time is asserted.
#include "bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/conv.h"
#include "bench/gemm.h"
#include "bench/model.h"
#include "bench/peers.h"
#include "bench/train.h"
#include "nn/zoo.h"

namespace fdi::bench {
namespace {

constexpr device::MeasureOptions kShort{.warm_up = 0, .min_runs = 3, .max_runs = 3, .min_interval_us = 1};

TEST(Ratios, GeometricMeanAndMinimum) {
  const Ratios r = summarize_ratios({0.5, 2.0, 1.0});
  EXPECT_DOUBLE_EQ(r.geometric_mean, 1.0);
  EXPECT_DOUBLE_EQ(r.minimum, 0.5);
  EXPECT_EQ(summarize_ratios({}).minimum, 0);
}

TEST(GemmBench, JsonHoldsShapesPeersAndRatios) {
  const Report report = gemm({{5, 7, 9}, {16, 4, 3}}, kShort);
  ASSERT_EQ(report.json["shapes"].size(), 2u);
  const nlohmann::json& row = report.json["shapes"][0];
  EXPECT_EQ(row["m"], 5);
  EXPECT_EQ(row["n"], 7);
  EXPECT_EQ(row["k"], 9);
  EXPECT_GT(row["gflops"], 0);
  for (const GemmPeer& peer : gemm_peers()) {
    EXPECT_GT(row["peers"][peer.name], 0);
    EXPECT_NEAR(row["ratios"][peer.name].get<double>(),
                row["gflops"].get<double>() / row["peers"][peer.name].get<double>(), 1e-9);
    EXPECT_GT(report.json["summary"][peer.name]["minimum"], 0);
  }
  EXPECT_TRUE(report.json["conditions"].contains("isa"));
  EXPECT_THAT(report.text, ::testing::HasSubstr("GFLOP/s"));
}

TEST(GemmBench, StandardShapesAreTheLayersTheirBatchAndTheSquare) {
  const std::vector<GemmShape> shapes = vgg_gemm_shapes();
  ASSERT_EQ(shapes.size(), 19u);
  EXPECT_EQ(shapes[9].n, 1024 * 32);
  EXPECT_EQ(shapes.back().k, 2048);
}

TEST(ConvBench, JsonHoldsBothPathsAndThePeer) {
  const Report report = conv({{6, 3, 5}, {7, 4, 4, 1, 2}}, 2, kShort);
  ASSERT_EQ(report.json["layers"].size(), 2u);
  const nlohmann::json& row = report.json["layers"][1];
  EXPECT_EQ(row["size"], 7);
  EXPECT_EQ(row["stride"], 2);
  EXPECT_GT(row["gflops"], 0);
  EXPECT_GT(row["explicit_gflops"], 0);
  EXPECT_EQ(row["peers"].contains("onednn"), have_onednn());
}

// Networks of every op that the peer knows: the benchmark itself compares the outputs and throws where they differ.
TEST(ModelBench, TimesMemoryAndAnEqualPeer) {
  for (const char* name : {"lenet", "resnet20", "vgg16"}) {
    const Report report = model(nn::make_zoo(name, {.width = 0.1, .classes = 7, .input = {}}), 2, true, kShort);
    for (const char* key : {"median_ms", "min_ms", "peak_resident_mib"}) EXPECT_GT(report.json[key], 0) << name << key;
    EXPECT_GE(report.json["rel_mad"], 0);
    EXPECT_LT(report.json["memory"]["planned_mib"], report.json["peak_resident_mib"]);
    EXPECT_EQ(report.json["ratios"].contains("onednn"), have_onednn());
  }
}

TEST(ModelBench, WithoutPeersThereAreNone) {
  const Report report = model(nn::make_zoo("lenet"), 1, false, kShort);
  EXPECT_TRUE(report.json["peers"].empty());
}

TEST(RnnBench, BothKindsBesideThePeer) {
  for (const nn::Op op : {nn::Op::kGru, nn::Op::kLstm}) {
    const Report report = model(rnn_spec({.op = op, .in = 7, .steps = 3, .units = {5, 4}}), 2, true, kShort);
    EXPECT_GT(report.json["median_ms"], 0);
    EXPECT_EQ(report.json["ratios"].contains("onednn"), have_onednn());
  }
}

TEST(TrainBench, ImagesPerSecondFollowFromTheMedian) {
  const Report report = train(nn::make_zoo("lenet"), 4, kShort);
  EXPECT_NEAR(report.json["images_per_s"].get<double>(), 4 / report.json["median_ms"].get<double>() * 1e3, 1e-6);
  EXPECT_TRUE(report.json.contains("rel_mad"));
}

}  // namespace
}  // namespace fdi::bench
