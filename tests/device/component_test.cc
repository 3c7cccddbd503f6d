// Components of networks, jobs, and their JSON.
#include "device/component.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/builder.h"
#include "nn/zoo.h"
#include "tests/message_of.h"

namespace fdi::device {
namespace {

using nlohmann::json;
using nn::Op;
using nn::Shape;

const Component& find(const std::vector<Component>& components, std::string_view name) {
  const auto found = std::ranges::find(components, name, [](const Component& c) { return c.layer.name; });
  if (found == components.end()) throw std::runtime_error("no component " + std::string(name));
  return *found;
}

int count(const std::vector<Component>& components, Op op) {
  return static_cast<int>(std::ranges::count(components, op, [](const Component& c) { return c.layer.op; }));
}

TEST(Component, OfVgg16) {
  const std::vector<Component> all = components(nn::make_zoo("vgg16"));
  EXPECT_EQ(count(all, Op::kConv2d), 13);
  EXPECT_EQ(count(all, Op::kMaxPool), 5);
  EXPECT_EQ(count(all, Op::kConv2d) + count(all, Op::kMaxPool) + count(all, Op::kFc), static_cast<int>(all.size()));
  const Component& first = all.front();
  EXPECT_EQ(first.layer.name, "conv1_1");
  EXPECT_TRUE(first.layer.attr.relu);
  EXPECT_TRUE(first.layer.attr.bias);  // of the norm that went into it
  EXPECT_EQ(first.in, std::vector<Shape>({{32, 32, 3}}));
  EXPECT_FALSE(all.back().layer.attr.relu);
  EXPECT_EQ(all.back().in.front().rank, 1);  // behind a flatten, which is no component

  int64_t bytes = int64_t{4} * 32 * 32 * 3;
  for (const Component& c : all) {
    bytes += own_bytes(c);
    for (const Shape& in : c.in) bytes -= 4 * in.size();
  }
  for (const Component& c : all) EXPECT_EQ(c.network_bytes, bytes) << c.layer.name;
}

TEST(Component, OfResnet20) {
  const std::vector<Component> all = components(nn::make_zoo("resnet20"));
  EXPECT_EQ(count(all, Op::kBatchNorm) + count(all, Op::kRelu) + count(all, Op::kFlatten), 0);
  EXPECT_EQ(count(all, Op::kAdd), 9);
  for (const Component& c : all)
    if (c.layer.op == Op::kAdd) {
      EXPECT_TRUE(c.layer.attr.relu) << c.layer.name;
      ASSERT_EQ(c.in.size(), 2u);
      EXPECT_EQ(c.layer.inputs, std::vector<int>(2, nn::LayerSpec::kInput));
    }
}

TEST(Component, OwnBytesByHand) {
  nn::SpecBuilder b("x", {8, 8, 3});
  b.add(Op::kConv2d, "conv", {.units = 5, .kernel = {3, 3}, .stride = {2, 2}});
  const Component c = components(b.take()).front();
  EXPECT_EQ(own_bytes(c), 4 * (8 * 8 * 3 + 4 * 4 * 5 + 3 * 3 * 3 * 5 + 5));
  EXPECT_EQ(c.network_bytes, own_bytes(c));  // the layer is the network
}

TEST(Component, AJobOfSeveralIsANetworkOfOneLayerEach) {
  const std::vector<Component> all = components(nn::make_zoo("resnet20"));
  const Job job = job_of(all);
  ASSERT_EQ(job.networks.size(), all.size());
  EXPECT_EQ(job.touch_bytes, 0);
  EXPECT_FALSE(job.plain_ends);
  const std::vector<Component> back = components(job);
  ASSERT_EQ(back.size(), all.size());
  int64_t bytes = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(job.networks[i].layers, std::vector<nn::LayerSpec>({all[i].layer}));
    EXPECT_EQ(job.networks[i].input, all[i].in[0]);
    EXPECT_EQ(back[i].layer, all[i].layer);
    EXPECT_EQ(back[i].in, all[i].in);
    bytes += own_bytes(all[i]);
    for (size_t k = 1; k < all[i].in.size(); ++k) bytes -= 4 * all[i].in[k].size();  // an add reads its input twice
  }
  for (const Component& c : back) EXPECT_EQ(c.network_bytes, bytes);
}

TEST(Component, AConcatOfSeveralWidthsIsTimedAsOneOfEqualWidths) {
  nn::SpecBuilder b("x", {8, 8, 3});
  std::vector<int> branches;
  for (const int units : {5, 8, 1})
    branches.push_back(b.add_on({nn::LayerSpec::kInput}, Op::kConv2d, fmt::format("branch{}", units),
                                {.units = units, .kernel = {1, 1}}));
  b.add_on(branches, Op::kConcat, "join", {.axis = 2});
  const std::vector<Component> all = components(b.take());
  const Component join = find(all, "join");
  const nn::NetworkSpec network = job_of(std::span(&join, 1)).networks[0];
  EXPECT_EQ(network.input, Shape({8, 8, 5}));  // 14 / 3 rounded
  EXPECT_EQ(nn::output_shapes(network).back(), Shape({8, 8, 15}));
}

TEST(Component, TheJobOfANetworkIsTheFusedNetwork) {
  const Job job = job_of(nn::make_zoo("resnet20"));
  EXPECT_TRUE(job.plain_ends);
  EXPECT_EQ(job.touch_bytes, 0);
  ASSERT_EQ(job.networks.size(), 1U);
  EXPECT_EQ(job.networks[0].layers.size(), components(nn::make_zoo("resnet20")).size());
  EXPECT_EQ(components(job), components(nn::make_zoo("resnet20")));
}

TEST(Component, JsonRoundTrip) {
  for (const char* name : {"vgg16", "resnet20", "lenet"}) {
    const nn::NetworkSpec spec = nn::make_zoo(name);
    for (const Component& c : components(spec)) {
      const std::string text = component_to_json(c).dump();
      EXPECT_EQ(component_from_json(json::parse(text), "x"), c) << text;
    }
    const Job group = job_of(components(spec));
    EXPECT_EQ(job_from_json(json::parse(job_to_json(group).dump()), "x"), group);
    EXPECT_EQ(job_from_json(json::parse(job_to_json(job_of(spec)).dump()), "x"), job_of(spec));
  }
}

TEST(Component, JsonThatDoesNotFitIsRefused) {
  const json good = component_to_json(components(nn::make_zoo("resnet20")).front());
  const auto refused = [&](const char* path, const json& value) {
    json bad = good;
    bad[json::json_pointer(path)] = value;
    const std::string text = message_of([&] { component_from_json(bad, "row 7"); });
    EXPECT_EQ(text.substr(0, 6), "row 7:") << text;
    return text;
  };
  EXPECT_NE(refused("/network_bytes", -1).find("\"network_bytes\" is -1"), std::string::npos);
  EXPECT_NE(refused("/network_bytes", "many").find("whole number"), std::string::npos);
  EXPECT_NE(refused("/network_bytes", UINT64_MAX).find("whole number"), std::string::npos);
  EXPECT_NE(refused("/in", 3).find("want a list"), std::string::npos);
  EXPECT_NE(refused("/in", json::array()).find("got 0 inputs"), std::string::npos);
  EXPECT_NE(refused("/in/0", {8, 8}).find("image"), std::string::npos);
  EXPECT_NE(refused("/in/0", {0, 8, 3}).find("has shape"), std::string::npos);
  EXPECT_NE(refused("/in/0", {1 << 24, 1 << 24, 3}).find("has shape"), std::string::npos);
  EXPECT_NE(refused("/in/0", {8, "x", 3}).find("no shape"), std::string::npos);
  EXPECT_NE(refused("/layer/op", "conv9d").find("unknown op"), std::string::npos);
  EXPECT_NE(refused("/layer/units", 0).find("units"), std::string::npos);
  EXPECT_NE(refused("/layer/colour", 1).find("unknown attribute"), std::string::npos);
  EXPECT_NE(refused("/colour", 1).find("unknown key \"colour\""), std::string::npos);
  json cut = good;
  cut.erase("in");
  EXPECT_NE(message_of([&] { component_from_json(cut, "x"); }).find("\"in\" is missing"), std::string::npos);
  EXPECT_NE(message_of([] { component_from_json(3, "x"); }).find("want an object"), std::string::npos);

  json job = job_to_json(job_of(nn::make_zoo("lenet")));
  job["plain_ends"] = 1;
  EXPECT_NE(message_of([&] { job_from_json(job, "x"); }).find("want true or false"), std::string::npos);
  job["plain_ends"] = true;
  job["networks"] = json::array();
  EXPECT_NE(message_of([&] { job_from_json(job, "x"); }).find("no list of one or more"), std::string::npos);
}

}  // namespace
}  // namespace fdi::device
