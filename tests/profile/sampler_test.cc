// The sampler: inside its scope, repeatable, without repetitions, and covering what a network needs.
#include "profile/sampler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/layer.h"
#include "nn/zoo.h"
#include "profile/features.h"
#include "profile/scope.h"

namespace fdi::profile {
namespace {

using device::Component;
using nn::Op;
using ::testing::HasSubstr;

std::map<Op, int> count(const std::vector<Component>& components) {
  std::map<Op, int> counts;
  for (const Component& c : components) ++counts[c.layer.op];
  return counts;
}

bool within(int value, int low, int high) { return low <= value && value <= high; }

TEST(Sampler, Table2) {
  Sampler sampler({}, 1);
  const std::vector<Component> all = sampler.draw(1300);
  ASSERT_EQ(all.size(), 1300U);
  const auto counts = count(all);
  EXPECT_EQ(counts.size(), 4U);
  for (const auto& [op, n] : counts) EXPECT_GE(n, 200) << nn::op_name(op);
  EXPECT_GT(counts.at(Op::kConv2d), counts.at(Op::kFc));
  std::set<std::string> seen;
  std::set<std::array<int, 2>> kernels;
  std::set<int> strides, steps, paddings;
  for (const Component& c : all) {
    EXPECT_TRUE(seen.insert(device::component_to_json(c).dump()).second) << "twice";
    EXPECT_EQ(c.network_bytes, 0);  // that of the job it will be part of
    EXPECT_LE(static_cast<double>(nn::op_info(c.layer.op).flops(c.layer, c.in)), 4e9);
    const nn::Shape& in = c.in[0];
    if (c.layer.op == Op::kConv2d) {
      EXPECT_TRUE(within(in[0], 24, 225) && within(in[1], 24, 225) && within(in[2], 1, 256));
      EXPECT_TRUE(within(c.layer.attr.units, 1, 256));
      kernels.insert(c.layer.attr.kernel);
      strides.insert(c.layer.attr.stride[0]);
      paddings.insert(static_cast<int>(c.layer.attr.padding));
    } else if (c.layer.op == Op::kFc) {
      EXPECT_TRUE(within(in[0], 1, 4096) && within(c.layer.attr.units, 1, 4096));
    } else {
      EXPECT_TRUE(within(in[1], 1, 512) && within(c.layer.attr.units, 1, 512));
      steps.insert(in[0]);
    }
  }
  EXPECT_EQ(kernels.size(), 5U);
  EXPECT_EQ(strides, (std::set<int>{1, 2}));
  EXPECT_EQ(paddings.size(), 2U);
  EXPECT_EQ(steps, (std::set<int>{8, 10, 15, 20}));
  EXPECT_GT(sampler.too_large(), 0);
  EXPECT_LT(sampler.too_large(), sampler.drawn() / 4);
}

TEST(Sampler, TheSeedDecides) {
  EXPECT_EQ(Sampler({}, 3).draw(100), Sampler({}, 3).draw(100));
  EXPECT_NE(Sampler({}, 3).draw(100), Sampler({}, 4).draw(100));
  Sampler portions({}, 3), whole({}, 3);
  std::vector<Component> two = portions.draw(Op::kFc, 10);
  portions.draw(Op::kGru, 7);
  for (Component& c : portions.draw(Op::kFc, 10)) two.push_back(std::move(c));
  EXPECT_EQ(two, whole.draw(Op::kFc, 20));
}

TEST(Sampler, SharesAddUp) {
  const Sampler sampler({}, 1);
  for (const int n : {0, 1, 3, 4, 60, 159, 160, 161, 1300, 9999}) {
    int sum = 0;
    for (const int share : sampler.shares(n)) sum += share;
    EXPECT_EQ(sum, n);
  }
  for (const int share : sampler.shares(160)) EXPECT_EQ(share, 40);
}

// All widths at the next multiple of 32: as far as a widened network goes.
nn::NetworkSpec widest_of(const nn::NetworkSpec& network) {
  return narrow(network, [](int width) { return (width + 31) / 32 * 32; });
}

// Every component of a drawn network fits into its layer's widths, widened, and all of its ops are there.
TEST(Sampler, ANetworkIsCovered) {
  for (const char* name : {"vgg16", "resnet20", "lenet"}) {
    SCOPED_TRACE(name);
    SamplingScope scope;
    scope.networks = {nn::make_zoo(name)};
    const std::vector<Component> full = device::components(widest_of(scope.networks[0]));
    const std::vector<Component> all = Sampler(scope, 1).draw(600);
    EXPECT_EQ(all.size(), 600U);
    const auto counts = count(all);
    EXPECT_EQ(counts.size(), count(full).size());
    for (const auto& [op, n] : counts) EXPECT_GE(n, 40) << nn::op_name(op);
    int widest = 0, narrowest = 1 << 20;
    for (const Component& c : all) {
      const bool fits = std::ranges::any_of(full, [&](const Component& f) {
        bool in = f.layer.op == c.layer.op && f.in.size() == c.in.size() &&
                  f.layer.attr.kernel == c.layer.attr.kernel && f.layer.attr.stride == c.layer.attr.stride &&
                  f.layer.attr.units >= c.layer.attr.units;
        for (size_t k = 0; in && k < c.in.size(); ++k)
          for (int i = 0; in && i < c.in[k].rank; ++i) in = c.in[k].rank == f.in[k].rank && c.in[k][i] <= f.in[k][i];
        return in && c.network_bytes <= f.network_bytes && c.network_bytes >= device::own_bytes(c);
      });
      EXPECT_TRUE(fits) << device::component_to_json(c).dump();
      if (c.layer.op != Op::kConv2d) continue;
      widest = std::max(widest, c.layer.attr.units);
      narrowest = std::min(narrowest, c.layer.attr.units);
    }
    int full_width = 0;
    for (const Component& f : full)
      if (f.layer.op == Op::kConv2d) full_width = std::max(full_width, f.layer.attr.units);
    EXPECT_GE(widest, full_width * 9 / 10);
    EXPECT_LE(narrowest, 2);
  }
}

// Expansion goes from 63 to 64 channels: such layers are drawn, and most draws keep to the network's own widths.
TEST(Sampler, SomeDrawsAreAsWideAsExpansionMayGo) {
  SamplingScope scope;
  scope.networks = {nn::make_zoo("vgg16", {.width = 63.0 / 64})};
  const nn::NetworkSpec& network = scope.networks[0];
  const std::vector<device::Job> jobs = Sampler(scope, 1).draw_jobs(1300);
  EXPECT_EQ(jobs[0], device::job_of(network));
  EXPECT_EQ(jobs[1], device::job_of(widest_of(network)));
  const std::vector<Component> own = device::components(network), most = device::components(widest_of(network));
  ASSERT_EQ(own[0].layer.attr.units, 63);
  int wider = 0;
  Scope seen;
  for (const device::Job& job : jobs) {
    const std::vector<Component> drawn = device::components(job);
    bool passes = false;
    for (size_t i = 0; i < drawn.size(); ++i) {
      EXPECT_LE(drawn[i].layer.attr.units, most[i].layer.attr.units);
      passes = passes || drawn[i].layer.attr.units > own[i].layer.attr.units;
      if (drawn[i].layer.op == Op::kConv2d) seen.add(structure_of(drawn[i]));
    }
    wider += passes ? 1 : 0;
  }
  EXPECT_GE(wider, 3);
  EXPECT_LT(wider, static_cast<int>(jobs.size()) / 2);
  for (const Component& c : most) {
    if (c.layer.op != Op::kConv2d) continue;
    EXPECT_EQ(seen.outside(structure_of(c)), "") << c.layer.name;
  }
}

TEST(Sampler, WhatWideningMakesTooLargeIsLeftOut) {
  SamplingScope scope;
  scope.networks = {nn::make_zoo("lenet")};
  const auto mflop = [](const Component& c) {
    return static_cast<double>(nn::op_info(c.layer.op).flops(c.layer, c.in)) / 1e6;
  };
  scope.max_mflop = 0;  // the largest layer of the network itself
  for (const Component& c : device::components(scope.networks[0]))
    scope.max_mflop = std::max(scope.max_mflop, mflop(c));
  Sampler sampler(scope, 1);
  for (const device::Job& job : sampler.draw_jobs(200))
    for (const Component& c : device::components(job)) EXPECT_LE(mflop(c), scope.max_mflop);
  EXPECT_GT(sampler.too_large(), 0);
}

// Half of all draws are of multiples (a fifth of them of 2, ...): with even widths on both sides in 6 of 10, of uniform
// ones in a quarter.
TEST(Sampler, UniformIsUniform) {
  SamplingScope scope;
  scope.ops = {Op::kFc};
  const auto even = [&](bool uniform) {
    scope.uniform = uniform;
    const auto drawn = Sampler(scope, 1).draw(400);
    return std::ranges::count_if(drawn,
                                 [](const Component& c) { return c.in[0][0] % 2 + c.layer.attr.units % 2 == 0; });
  };
  EXPECT_NEAR(static_cast<double>(even(false)), 250, 40);
  EXPECT_NEAR(static_cast<double>(even(true)), 100, 30);
}

TEST(Sampler, NetworksAreTimedWholeAndSingleLayersInTurn) {
  SamplingScope scope;
  scope.networks = {nn::make_zoo("vgg16"), nn::make_zoo("lenet")};
  const std::vector<device::Job> whole = Sampler(scope, 1).draw_jobs(100);
  size_t samples = 0;
  for (const device::Job& job : whole) {
    ASSERT_EQ(job.networks.size(), 1U);
    EXPECT_TRUE(job.plain_ends);
    samples += device::components(job).size();
  }
  EXPECT_GE(samples, 100U);
  EXPECT_LT(samples - device::components(whole.back()).size(), 100U);  // no network more than it takes
  EXPECT_EQ(Sampler(scope, 1).draw_jobs(100), whole);
  EXPECT_NE(Sampler(scope, 2).draw_jobs(100), whole);

  scope.ops = {Op::kConv2d};
  for (const SamplingScope& single : {scope, SamplingScope()}) {
    const std::vector<device::Job> jobs = Sampler(single, 1).draw_jobs(100);
    size_t layers = 0;
    for (const device::Job& job : jobs) {
      layers += job.networks.size();
      EXPECT_LE(job.networks.size(), 12U);
      for (const nn::NetworkSpec& network : job.networks) EXPECT_EQ(network.layers.size(), 1U);
    }
    EXPECT_EQ(layers, 100U);
  }
}

// Narrowed networks of each network given: some about as wide in all layers, some with wide layers among narrow ones.
TEST(Sampler, EachNetworkIsNarrowedEvenlyAndUnevenly) {
  SamplingScope scope;
  scope.networks = {nn::make_zoo("vgg16"), nn::make_zoo("resnet20")};
  const auto layers_of = [](const nn::NetworkSpec& network) { return device::job_of(network).networks[0].layers; };
  std::vector<int> even(2), uneven(2);
  for (const device::Job& job : Sampler(scope, 1).draw_jobs(1300)) {
    const auto& layers = job.networks[0].layers;
    const size_t which = layers.size() == layers_of(scope.networks[0]).size() ? 0 : 1;
    bool is_even = false, is_uneven = true;
    for (const auto& full : {layers_of(scope.networks[which]), layers_of(widest_of(scope.networks[which]))}) {
      ASSERT_EQ(layers.size(), full.size());
      double least = INFINITY, most = 0;
      for (size_t i = 0; i < layers.size(); ++i) {
        if (layers[i].op != Op::kConv2d) continue;
        const double share = static_cast<double>(layers[i].attr.units) / full[i].attr.units;
        least = std::min(least, share);
        most = std::max(most, share);
      }
      is_even = is_even || least > most / 2;
      is_uneven = is_uneven && least < most / 4;
    }
    if (is_even) ++even[which];
    if (is_uneven) ++uneven[which];
  }
  for (const size_t which : {0, 1}) {
    EXPECT_GE(even[which], 4) << which;
    EXPECT_GE(uneven[which], 6) << which;
  }
}

TEST(Sampler, LayersThatTakeTurnsStayInACacheTogether) {
  std::vector<Component> layers;
  for (const int dim : {100, 100, 300, 400, 100})  // 40, 40, 361, 642, 40 kB of weights
    layers.push_back(
        {{.op = Op::kFc, .name = "fc", .inputs = {nn::LayerSpec::kInput}, .attr = {.units = dim}}, {nn::Shape{dim}}});
  layers.resize(20, layers.back());
  std::vector<size_t> sizes;
  for (const device::Job& job : groups(layers)) sizes.push_back(job.networks.size());
  EXPECT_EQ(sizes, (std::vector<size_t>{3, 1, 12, 4}));

  // Few weights and 800 kB of images, between two small layers.
  const Component large{
      {.op = Op::kConv2d, .name = "conv", .inputs = {nn::LayerSpec::kInput}, .attr = {.units = 8, .kernel = {3, 3}}},
      {nn::Shape{112, 112, 8}}};
  EXPECT_EQ(groups(std::vector{layers[0], large, layers[0]}).size(), 3U);
}

TEST(Sampler, OnlyTheOpsAskedFor) {
  SamplingScope scope;
  scope.ops = {Op::kMaxPool};
  scope.networks = {nn::make_zoo("vgg16")};
  const auto counts = count(Sampler(scope, 1).draw(50));
  EXPECT_EQ(counts, (std::map<Op, int>{{Op::kMaxPool, 50}}));
  scope.ops = {Op::kGru};
  EXPECT_THROW(Sampler(scope, 1), core::Error);
  scope.networks.clear();
  scope.ops = {Op::kMaxPool};
  EXPECT_THROW(Sampler(scope, 1), core::Error);
}

TEST(Sampler, ASmallScopeEnds) {
  SamplingScope scope;
  scope.ops = {Op::kFc};
  scope.fc_dim = {1, 3};
  EXPECT_EQ(Sampler(scope, 1).draw(100).size(), 9U);
}

TEST(SamplingScope, JsonRoundTripAndMistakes) {
  SamplingScope scope;
  scope.ops = {Op::kConv2d};
  scope.channel = {3, 7};
  scope.kernels = {{1, 7}};
  scope.max_mflop = 12.5;
  scope.uniform = true;
  scope.networks = {nn::make_zoo("lenet")};
  EXPECT_EQ(scope_from_json(scope_to_json(scope), "f"), scope);
  EXPECT_EQ(scope_from_json(nlohmann::json::object(), "f"), SamplingScope());
  EXPECT_FALSE(scope_to_json(SamplingScope()).contains("uniform"));
  const auto refusal = [](const char* text) -> std::string {
    try {
      scope_from_json(nn::parse_json(text, "f"), "f");
    } catch (const core::Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal("[]"), HasSubstr("f: the scope is a array"));
  EXPECT_THAT(refusal(R"({"channels": [1, 2]})"), HasSubstr("channels"));
  for (const char* bad : {R"({"channel": [2, 1]})", R"({"channel": [0, 1]})", R"({"channel": 3})", R"({"kernels": []})",
                          R"({"kernels": [3]})", R"({"strides": [0]})", R"({"steps": "8"})", R"({"max_mflop": 0})",
                          R"({"max_network_bytes": 1})", R"({"ops": ["conv3d"]})", R"({"ops": [1]})",
                          R"({"uniform": 1})", R"({"networks": {}})", R"({"networks": [1]})"})
    EXPECT_NE(refusal(bad), "accepted") << bad;
}

}  // namespace
}  // namespace fdi::profile
