// The time model of several ops: quality on samples it has not seen, intervals, scope, JSON, bad input.
#include "profile/time_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "profile/op_model.h"
#include "profile/statistics.h"
#include "tests/message_of.h"
#include "tests/profile/planted.h"

namespace fdi::profile {
namespace {

double conv_time(const Structure& s) {
  return (std::fmod(s[Field::kInChannel], 4) == 0 ? 2e-5 : 4e-5) * s[Field::kFlops] + 30;
}
double fc_time(const Structure& s) { return 1e-4 * s[Field::kParamSize] + 3; }
double gru_time(const Structure& s) { return 5e-5 * s[Field::kFlops] + 2 * s[Field::kStep] + 1; }

SampleSet mixed_samples(double noise = 0.02) {
  SampleSet set = planted_convs(500, conv_time, noise, 1, 3);
  set.device.engine = "native";
  set.device.isa = "avx2";
  core::Rng rng(9, core::Stream::kTest);
  for (int i = 0; i < 200; ++i) {
    set.samples.push_back(
        timed(dims_component(nn::Op::kFc, draw(rng, 1, 4096), draw(rng, 1, 4096)), fc_time, rng, noise, 3));
    set.samples.push_back(timed(dims_component(nn::Op::kGru, draw(rng, 1, 512), draw(rng, 1, 512), draw(rng, 8, 20)),
                                gru_time, rng, noise, 3));
  }
  return set;
}

TEST(TimeModel, IsGoodOnWhatItHasNotSeen) {
  const TimeModel model = TimeModel::fit(mixed_samples());
  const auto quality = model.quality();
  ASSERT_EQ(quality.size(), 3U);
  for (const auto& [op, q] : quality) {
    SCOPED_TRACE(nn::op_name(op));
    EXPECT_LT(q.mape, 0.03);
    EXPECT_GT(q.r2, 0.99);
    EXPECT_GT(q.within_10, 0.97);
    EXPECT_GE(q.within_10, q.within_5);
    EXPECT_GT(q.noise_floor, 0.01);  // two passes of 2% noise each
    EXPECT_LT(q.noise_floor, 0.04);
    ASSERT_EQ(q.p_values.size(), op == nn::Op::kGru ? 4U : 3U);
    EXPECT_EQ(q.p_values[0].first, "FLOPs");
    for (const auto& [name, p] : q.p_values) EXPECT_TRUE(p >= 0 && p <= 1) << name << " " << p;
  }
  EXPECT_EQ(quality.at(nn::Op::kFc).samples, 200);
  EXPECT_EQ(quality.at(nn::Op::kFc).held_out, 50);
  EXPECT_LT(quality.at(nn::Op::kGru).p_values[3].second, 0.01);  // steps cost something
}

TEST(TimeModel, PredictsWithRuleAndInterval) {
  const TimeModel model = TimeModel::fit(mixed_samples());
  const device::Component c = conv_component(32, 32, 64, 100);
  const Prediction p = model.predict(c);
  const double truth = conv_time(structure_of(c));
  EXPECT_NEAR(p.us, truth, 0.03 * truth);
  EXPECT_EQ(model.predict_us(c), p.us);
  EXPECT_LT(p.low_us, p.us);
  EXPECT_GT(p.high_us, p.us);
  EXPECT_LT(p.high_us, 1.2 * p.us);
  EXPECT_NE(p.rule.find("in_channel is a multiple of 4"), std::string::npos) << p.rule;
  EXPECT_NE(p.rule.find("ns/kFLOP"), std::string::npos) << p.rule;
  EXPECT_EQ(p.outside, "");
}

TEST(TimeModel, SaysWhatLiesOutsideTheScope) {
  SampleSet set = mixed_samples();
  for (Sample& sample : set.samples) sample.component.network_bytes = 1 << 20;
  const TimeModel model = TimeModel::fit(set);
  EXPECT_NE(model.predict(conv_component(32, 32, 64, 700)).outside.find("out_channel 700 > 256"), std::string::npos);
  EXPECT_NE(model.predict(conv_component(32, 32, 64, 64, 7)).outside.find("kernel 7x7 never sampled"),
            std::string::npos);
  EXPECT_NE(model.predict(conv_component(32, 32, 64, 64, 3, 3)).outside.find("stride 3x3 never sampled"),
            std::string::npos);
  const std::string fc = model.predict(dims_component(nn::Op::kFc, 9000, 10)).outside;
  EXPECT_NE(fc.find("in_dim 9000 > "), std::string::npos) << fc;
  // More work than any sample, though no size is larger; weights that drive each other out of the caches.
  EXPECT_NE(model.predict(conv_component(224, 224, 256, 256)).outside.find("FLOPs "), std::string::npos);
  device::Component crowded = conv_component(32, 32, 64, 100);
  crowded.network_bytes = int64_t{1} << 40;
  EXPECT_NE(model.predict(crowded).outside.find("network_bytes 1100G > "), std::string::npos)
      << model.predict(crowded).outside;
}

// A table of one's own has no network_bytes: its samples hold for layers of every network.
TEST(TimeModel, SamplesWithoutNetworkBytesSayNothingOfNetworks) {
  std::string table = "op,in_channel,out_channel,median_us\n";
  for (int in = 8; in <= 64; in += 8)
    for (int out = 8; out <= 64; out += 8) table += fmt::format("fc,{},{},{}\n", in, out, 3 + 0.001 * in * out);
  const TimeModel fitted = TimeModel::fit(parse_samples_csv(table, "f.csv"));
  const TimeModel stored = TimeModel::from_json(fitted.to_json(), "m.json");
  const nn::NetworkSpec inside{
      "n", {40}, {{nn::Op::kFc, "a", {nn::LayerSpec::kInput}, {.units = 30}}, {nn::Op::kFc, "b", {0}, {.units = 10}}}};
  nn::NetworkSpec wide = inside;
  wide.layers[1].attr.units = 100;
  for (const TimeModel* model : {&fitted, &stored}) {
    const NetworkPrediction predicted = predict_network(*model, inside);
    ASSERT_EQ(predicted.layers.size(), 2U);
    for (const auto& [layer, p] : predicted.layers) EXPECT_EQ(p.outside, "") << layer;
    EXPECT_EQ(predict_network(*model, wide).layers[1].prediction.outside.find("network_bytes"), std::string::npos);
    EXPECT_NE(predict_network(*model, wide).layers[1].prediction.outside.find("out_dim 100 > 64"), std::string::npos);
  }
}

// Nine of ten new measurements lie in the interval.
TEST(TimeModel, IntervalsCoverNewSamples) {
  const TimeModel model = TimeModel::fit(mixed_samples(0.08));
  const SampleSet fresh = planted_convs(2000, conv_time, 0.08, 77, 3);
  int inside = 0;
  for (const Sample& sample : fresh.samples) {
    const Prediction p = model.predict(sample.component);
    inside += sample.time.median_us >= p.low_us && sample.time.median_us <= p.high_us ? 1 : 0;
  }
  EXPECT_GT(inside, 2000 * 0.84);
  EXPECT_LT(inside, 2000 * 0.96);
}

TEST(TimeModel, JsonGivesTheSamePredictions) {
  const TimeModel model = TimeModel::fit(mixed_samples());
  const std::string text = model.to_json().dump();
  const TimeModel back = TimeModel::from_json(nlohmann::json::parse(text), "model.json");
  EXPECT_EQ(back.to_json().dump(), text);
  EXPECT_EQ(back.rules(), model.rules());
  EXPECT_EQ(device::key(back.device()), device::key(model.device()));
  for (const device::Component& c :
       {conv_component(17, 9, 33, 70), dims_component(nn::Op::kFc, 77, 99), dims_component(nn::Op::kGru, 5, 500, 9)}) {
    const Prediction a = model.predict(c), b = back.predict(c);
    EXPECT_EQ(a.us, b.us);
    EXPECT_EQ(a.low_us, b.low_us);
    EXPECT_EQ(a.high_us, b.high_us);
    EXPECT_EQ(a.rule, b.rule);
  }
}

TEST(TimeModel, ForeignAndDamagedJsonIsRefused) {
  const nlohmann::json good = TimeModel::fit(mixed_samples()).to_json();
  const auto refused = [](const nlohmann::json& json, const char* why) {
    const std::string message = message_of([&] { TimeModel::from_json(json, "m.json"); });
    EXPECT_NE(message.find(why), std::string::npos) << message;
    EXPECT_NE(message.find("m.json"), std::string::npos) << message;
  };
  refused(3, "is no time model");
  refused({{"format", "something else"}}, "is no time model, as `fastdeepiot fit --out` writes it");
  nlohmann::json bad = good;
  bad["version"] = 1;
  refused(bad, "version 1, this program reads 2");
  bad = good;
  bad["ops"]["conv9d"] = bad["ops"]["conv2d"];
  refused(bad, "unknown op \"conv9d\"");
  bad = good;
  bad["ops"]["fc"]["half_width"].push_back(0.5);
  refused(bad, "interval widths");
  bad = good;
  bad["ops"]["fc"]["scope"]["ranges"].erase("in_dim");
  refused(bad, "in_dim");
  bad = good;
  bad["ops"]["conv2d"]["tree"] = nlohmann::json::array();
  refused(bad, "no nodes");
  bad = good;
  bad["ops"] = nlohmann::json::object();
  refused(bad, "no models");
}

TEST(TimeModel, BadSamplesAreRefused) {
  EXPECT_NE(message_of([] { TimeModel::fit({}); }).find("no samples"), std::string::npos);
  SampleSet few = planted_convs(19, conv_time, 0.01);
  EXPECT_NE(message_of([&] { TimeModel::fit(few); }).find("conv2d: 19 samples, want at least 20"), std::string::npos);
  core::Rng rng(4, core::Stream::kTest);  // ops are fitted side by side: the first one's error is told all the same
  few.samples.push_back(timed(dims_component(nn::Op::kFc, 10, 20), fc_time, rng, 0.01));
  for (int i = 0; i < 20; ++i)
    EXPECT_NE(message_of([&] { TimeModel::fit(few); }).find("conv2d: 19 samples"), std::string::npos);
  EXPECT_NO_THROW(TimeModel::fit(planted_convs(20, conv_time, 0.01)));
  for (const double us : {std::numeric_limits<double>::quiet_NaN(), 0.0, -3.0, HUGE_VAL}) {
    SampleSet set = planted_convs(50, conv_time, 0.01);
    set.samples[17].time.median_us = us;
    EXPECT_NE(message_of([&] { TimeModel::fit(set); }).find("want a positive number"), std::string::npos) << us;
  }
  FitOptions options;
  options.held_out = 1;
  EXPECT_NE(message_of([&] { TimeModel::fit(mixed_samples(), options); }).find("held-out"), std::string::npos);
  const TimeModel model = TimeModel::fit(mixed_samples());
  EXPECT_NE(message_of([&] { model.predict(dims_component(nn::Op::kLstm, 9, 9, 9)); }).find("knows no lstm"),
            std::string::npos);
}

TEST(TimeModel, TheOrderOfSamplesChangesNothing) {
  SampleSet set = mixed_samples();
  const nlohmann::json before = TimeModel::fit(set).to_json();
  core::Rng rng(8, core::Stream::kTest);
  rng.shuffle(set.samples.begin(), set.samples.end());
  EXPECT_TRUE(TimeModel::fit(set).to_json() == before);  // no print: it is long
  FitOptions other;
  other.seed = 2;
  EXPECT_FALSE(TimeModel::fit(set, other).to_json() == before);
}

TEST(TimeModel, ANetworkIsTheSumOfItsComponents) {
  SampleSet set = mixed_samples();
  core::Rng rng(10, core::Stream::kTest);
  for (int i = 0; i < 60; ++i) {
    device::Component pool = conv_component(draw(rng, 4, 64), draw(rng, 4, 64), draw(rng, 1, 128), 1, 2, 2);
    pool.layer.op = nn::Op::kMaxPool;
    pool.layer.attr.units = 0;
    set.samples.push_back(timed(
        pool, [](const Structure& s) { return 1e-3 * s[Field::kMemIn] + 1; }, rng, 0.01));
  }
  const TimeModel model = TimeModel::fit(set);
  const nn::NetworkSpec spec =
      nn::spec_from_json(nlohmann::json::parse(R"({"name": "tiny", "input": [32, 32, 3], "layers": [
        {"op": "conv2d", "name": "conv", "inputs": ["input"], "units": 16, "kernel": [3, 3]},
        {"op": "relu", "name": "relu", "inputs": ["conv"]},
        {"op": "max_pool", "name": "pool", "inputs": ["relu"], "kernel": [2, 2], "stride": [2, 2]},
        {"op": "flatten", "name": "flat", "inputs": ["pool"]},
        {"op": "fc", "name": "fc", "inputs": ["flat"], "units": 10}]})"),
                         "test");
  const NetworkPrediction network = predict_network(model, spec);
  ASSERT_EQ(network.layers.size(), 3U);  // the relu is part of the convolution, flatten is no work
  EXPECT_EQ(network.layers[0].name, "conv");
  double sum = 0;
  for (const LayerPrediction& layer : network.layers) sum += layer.prediction.us;
  EXPECT_DOUBLE_EQ(network.total_us, sum);
}

TEST(Statistics, PValuesTellUsefulFromUseless) {
  core::Rng rng(6, core::Stream::kTest);
  std::vector<std::vector<double>> x;
  std::vector<double> y;
  for (int i = 0; i < 200; ++i) {
    const double a = rng.normal(), b = rng.normal();
    x.push_back({1e9 * a, b, 5.0, 2e9 * a});
    y.push_back(1 + 2 * a + 0.5 * rng.normal());
  }
  const std::vector<double> p = p_values(x, y);
  EXPECT_LT(std::min(p[0], p[3]), 1e-10);
  EXPECT_EQ(std::max(p[0], p[3]), 1);  // the same again: one of the two tells it
  EXPECT_GT(p[1], 0.01);
  EXPECT_EQ(p[2], 1);  // constant
}

// By hand: x = 0..3, y = 0 1 1 3: slope 0.9, residual variance 0.35, t = 0.9 / sqrt(0.35 / 5) = 3.4017; two sided
// p with 2 degrees of freedom is 1 - t / sqrt(2 + t^2) = 0.076619.
TEST(Statistics, PValueByHand) {
  const std::vector<double> y{0, 1, 1, 3};
  EXPECT_NEAR(p_values({{0}, {1}, {2}, {3}}, y)[0], 0.076619, 2e-6);
}

TEST(Statistics, ErrorsByHand) {
  const std::vector<double> predicted{11, 19, 30, 44}, measured{10, 20, 30, 40};
  const Errors e = errors(predicted, measured);
  EXPECT_DOUBLE_EQ(e.mape, (0.1 + 0.05 + 0 + 0.1) / 4);
  EXPECT_DOUBLE_EQ(e.mae_us, 6.0 / 4);
  EXPECT_DOUBLE_EQ(e.within_5, 0.5);
  EXPECT_DOUBLE_EQ(e.r2, 1 - 18.0 / 500);
}

TEST(Statistics, ConformalQuantileNeedsEnoughValues) {
  EXPECT_EQ(conformal_quantile({1, 2, 3, 4, 5, 6, 7, 8, 9}, 0.9), 9);
  EXPECT_EQ(conformal_quantile({1, 2, 3, 4, 5, 6, 7, 8}, 0.9), std::numeric_limits<double>::infinity());
  EXPECT_EQ(conformal_quantile({3, 1, 2}, 0.5), 2);
}

}  // namespace
}  // namespace fdi::profile
