// Unit groups: which units hang together, for the zoo and for graphs that go wrong when layers are taken as a chain.
#include "nn/unit_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/error.h"
#include "nn/builder.h"
#include "nn/zoo.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::map<std::string, int> counts(const UnitGroups& groups) {
  std::map<std::string, int> out;
  for (const UnitGroup& g : groups.groups) out[g.name] = g.count;
  return out;
}

std::vector<std::string> layers_of(const NetworkSpec& spec, const UnitGroup& group) {
  std::vector<std::string> out;
  for (const int layer : group.layers) out.push_back(spec.layers[static_cast<size_t>(layer)].name);
  return out;
}

const UnitSlice* find(const UnitGroups& groups, const std::string& tensor, int axis) {
  for (const UnitSlice& s : groups.slices)
    if (s.tensor == tensor && s.axis == axis) return &s;
  return nullptr;
}

TEST(UnitGroups, VggHasOneGroupPerLayerButTheLast) {
  const NetworkSpec spec = make_zoo("vgg16", {.width = 0.125, .input = {64, 64, 3}});
  const UnitGroups groups = unit_groups(spec);
  ASSERT_EQ(groups.groups.size(), 14U);  // 13 convolutions and fc1
  EXPECT_EQ(groups.groups[0].name, "conv1_1");
  EXPECT_EQ(groups.groups[12].name, "conv5_3");
  EXPECT_EQ(groups.groups[12].count, 64);
  EXPECT_EQ(groups.groups[13].name, "fc1");
  EXPECT_THAT(groups.fixed[spec.layers.size() - 1], HasSubstr("it is the output"));
  EXPECT_EQ(find(groups, "fc2.weight", 1), nullptr);
  EXPECT_EQ(find(groups, "conv1_1.weight", 2), nullptr);  // the input's channels

  // Each channel of conv5_3 is read by four rows of fc1, one per pixel of the 2x2 that are left.
  const UnitSlice* rows = find(groups, "fc1.weight", 0);
  ASSERT_NE(rows, nullptr);
  EXPECT_TRUE(rows->reads);
  ASSERT_EQ(rows->unit.size(), 4U * 64);
  for (size_t i = 0; i < rows->unit.size(); ++i) EXPECT_EQ(rows->unit[i], groups.groups[12].first + int(i % 64));
  for (const char* name :
       {"conv5_3_bn.gamma", "conv5_3_bn.beta", "conv5_3_bn.running_mean", "conv5_3_bn.running_var"}) {
    const UnitSlice* slice = find(groups, name, 0);
    ASSERT_NE(slice, nullptr) << name;
    EXPECT_FALSE(slice->reads);
    EXPECT_EQ(slice->unit[5], groups.groups[12].first + 5);
  }
}

TEST(UnitGroups, AResidualStageSharesItsChannels) {
  const NetworkSpec spec = make_zoo("resnet20");
  const UnitGroups groups = unit_groups(spec);
  // One group per stage for what is added up, and one for the first convolution of each of nine blocks.
  EXPECT_EQ(groups.groups.size(), 3U + 9U);
  EXPECT_THAT(layers_of(spec, groups.groups[0]),
              ElementsAre("conv1", "block1_1_conv2", "block1_2_conv2", "block1_3_conv2"));
  const auto all = counts(groups);
  EXPECT_EQ(all.at("conv1"), 16);
  EXPECT_EQ(all.at("block2_1_shortcut"), 32);
  EXPECT_EQ(all.at("block3_2_conv1"), 64);
  EXPECT_FALSE(all.contains("fc"));
}

TEST(UnitGroups, BranchesAreJoinedAndCutByOffset) {
  const NetworkSpec spec = deepsense_like(true);
  const UnitGroups groups = unit_groups(spec);
  EXPECT_EQ(counts(groups), (std::map<std::string, int>{{"acc_conv1", 6},
                                                        {"acc_conv2", 5},
                                                        {"gyro_conv1", 4},
                                                        {"gyro_conv2", 7},
                                                        {"merge", 8},
                                                        {"gru1", 9},
                                                        {"gru2", 10}}));
  const auto first = [&](const char* name) {
    for (const UnitGroup& g : groups.groups)
      if (g.name == name) return g.first;
    return -100;
  };
  const UnitSlice* merged = find(groups, "merge.weight", 2);  // reads acc's 5, then gyro's 7
  ASSERT_NE(merged, nullptr);
  EXPECT_EQ(merged->unit.size(), 12U);
  EXPECT_EQ(merged->unit[4], first("acc_conv2") + 4);
  EXPECT_EQ(merged->unit[5], first("gyro_conv2"));
  const UnitSlice* flat = find(groups, "gru1.input_weight", 0);  // 3 columns of the image, 8 channels each
  ASSERT_NE(flat, nullptr);
  EXPECT_EQ(flat->unit.size(), 24U);
  EXPECT_EQ(flat->unit[8], first("merge"));
  const UnitSlice* state = find(groups, "gru1.hidden_weight", 0);
  ASSERT_NE(state, nullptr);
  EXPECT_TRUE(state->reads);
  EXPECT_EQ(state->unit.size(), 9U);
  const UnitSlice* gates = find(groups, "gru1.hidden_weight", 1);
  ASSERT_NE(gates, nullptr);
  EXPECT_FALSE(gates->reads);
  ASSERT_EQ(gates->unit.size(), 27U);
  EXPECT_EQ(gates->unit[9], gates->unit[0]);
  EXPECT_NE(find(groups, "gru1.bias", 0), nullptr);
  EXPECT_NE(find(groups, "gru1.bias_hidden", 0), nullptr);
}

// Joined along another axis than channels, the branches share their channels.
TEST(UnitGroups, StackedBranchesAreTied) {
  const NetworkSpec spec = deepsense_like(false);
  const UnitGroups groups = unit_groups(spec);
  const auto found = std::find_if(groups.groups.begin(), groups.groups.end(),
                                  [](const UnitGroup& g) { return g.name == "acc_conv2"; });
  ASSERT_NE(found, groups.groups.end());
  EXPECT_THAT(layers_of(spec, *found), ElementsAre("acc_conv2", "gyro_conv2"));
}

TEST(UnitGroups, LstmHasFourGates) {
  const NetworkSpec spec{"lstm",
                         {5, 3},
                         {{Op::kLstm, "a", {LayerSpec::kInput}, {.units = 4}},
                          {Op::kLstm, "b", {0}, {.units = 6}},
                          {Op::kTimeMean, "mean", {1}, {}},
                          {Op::kFc, "fc", {2}, {.units = 2}}}};
  const UnitGroups groups = unit_groups(spec);
  EXPECT_EQ(counts(groups), (std::map<std::string, int>{{"a", 4}, {"b", 6}}));
  const UnitSlice* gates = find(groups, "a.bias", 0);
  ASSERT_NE(gates, nullptr);
  EXPECT_EQ(gates->unit, (std::vector<int>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}));
  EXPECT_EQ(find(groups, "a.input_weight", 0), nullptr);  // the network's input
}

// conv a (4), b (3); c (7) is added to their concat: c falls into two groups, tied to a and to b.
TEST(UnitGroups, AnAdditionToAConcatSplitsALayer) {
  SpecBuilder b("odd", {4, 4, 2});
  const int a = b.add(Op::kConv2d, "a", {.units = 4});
  const int second = b.add_on({LayerSpec::kInput}, Op::kConv2d, "b", {.units = 3});
  const int both = b.add_on({a, second}, Op::kConcat, "both", {.axis = 2});
  const int c = b.add_on({LayerSpec::kInput}, Op::kConv2d, "c", {.units = 7});
  b.add_on({both, c}, Op::kAdd, "sum");
  b.add(Op::kGlobalAvgPool, "pool");
  b.add(Op::kFc, "fc", {.units = 2});
  const NetworkSpec spec = b.take();
  const UnitGroups groups = unit_groups(spec);
  ASSERT_EQ(groups.groups.size(), 2U);
  EXPECT_THAT(layers_of(spec, groups.groups[0]), ElementsAre("a", "c"));
  EXPECT_THAT(layers_of(spec, groups.groups[1]), ElementsAre("b", "c"));
  const NetworkSpec narrow = with_widths(spec, groups, std::vector<int>{2, 1});
  EXPECT_EQ(narrow.layers[static_cast<size_t>(c)].attr.units, 3);
}

// The same channels twice in one tensor: still one group, and the tensor loses two for each.
TEST(UnitGroups, ALayerThatIsJoinedWithItself) {
  SpecBuilder b("twice", {4, 4, 2});
  const int a = b.add(Op::kConv2d, "a", {.units = 4});
  b.add_on({a, a}, Op::kConcat, "both", {.axis = 2});
  b.add(Op::kConv2d, "c", {.units = 3});
  b.add(Op::kFlatten, "flat");
  b.add(Op::kFc, "fc", {.units = 2});
  const NetworkSpec spec = b.take();
  const UnitGroups groups = unit_groups(spec);
  EXPECT_EQ(counts(groups), (std::map<std::string, int>{{"a", 4}, {"c", 3}}));
  const NetworkSpec narrow = with_widths(spec, groups, std::vector<int>{3, 2});
  EXPECT_EQ(output_shapes(narrow)[1], (Shape{4, 4, 6}));
}

// The two halves of `both` are added in the other order: units of a and b swap places.
TEST(UnitGroups, CrossedTies) {
  SpecBuilder b("crossed", {6});
  const int a = b.add(Op::kFc, "a", {.units = 2});
  const int second = b.add_on({LayerSpec::kInput}, Op::kFc, "b", {.units = 2});
  const int ab = b.add_on({a, second}, Op::kConcat, "ab", {.axis = 0});
  const int ba = b.add_on({second, a}, Op::kConcat, "ba", {.axis = 0});
  b.add_on({ab, ba}, Op::kAdd, "sum");
  b.add(Op::kFc, "fc", {.units = 2});
  const NetworkSpec spec = b.take();
  const UnitGroups groups = unit_groups(spec);
  ASSERT_EQ(groups.groups.size(), 1U);
  EXPECT_EQ(groups.groups[0].count, 2);
  EXPECT_EQ(find(groups, "fc.weight", 0)->unit, (std::vector<int>{0, 1, 0, 1}));
}

TEST(UnitGroups, WhatCannotGoSaysWhy) {
  SpecBuilder b("fixed", {4, 4, 8});
  const int in = b.add(Op::kConv2d, "added", {.units = 8});
  b.add_on({in, LayerSpec::kInput}, Op::kAdd, "sum");
  b.add(Op::kConv2d, "cut", {.units = 8});
  b.add(Op::kSlice, "half", {.axis = 2, .begin = 0, .end = 4});
  b.add(Op::kConv2d, "spread", {.units = 6});
  b.add(Op::kReshape, "split", {.shape = {4, 4, 2, 3}});
  b.add(Op::kReshape, "flat", {.shape = {96}});
  b.add(Op::kFc, "fc", {.units = 2});
  const NetworkSpec spec = b.take();
  const UnitGroups groups = unit_groups(spec);
  EXPECT_TRUE(groups.groups.empty());
  EXPECT_THAT(groups.fixed[0], HasSubstr("meets the network's input in [add sum]"));
  EXPECT_THAT(groups.fixed[2], HasSubstr("[slice half] cuts"));
  EXPECT_THAT(groups.fixed[4], HasSubstr("[reshape split] spreads"));
  try {
    require_groups(spec, groups);
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("network fixed has no units that could go: [conv2d added]: it meets"));
    EXPECT_THAT(e.what(), HasSubstr("[fc fc]: it is the output"));
  }
}

// A slice of the whole axis, or of another one, and a reshape that only regroups pixels cut nothing.
TEST(UnitGroups, HarmlessSlicesAndReshapes) {
  SpecBuilder b("harmless", {4, 4, 3});
  b.add(Op::kConv2d, "a", {.units = 6});
  b.add(Op::kSlice, "rows", {.axis = 0, .begin = 1, .end = 3});
  b.add(Op::kSlice, "all", {.axis = 2, .begin = 0, .end = 6});
  b.add(Op::kReshape, "steps", {.shape = {2, 24}});
  b.add(Op::kFlatten, "flat");
  b.add(Op::kReshape, "back", {.shape = {2, 4, 6}});
  b.add(Op::kGlobalAvgPool, "pool");
  b.add(Op::kFc, "fc", {.units = 2});
  const NetworkSpec spec = b.take();
  const UnitGroups groups = unit_groups(spec);
  EXPECT_EQ(counts(groups), (std::map<std::string, int>{{"a", 6}}));
  const auto shapes = output_shapes(with_widths(spec, groups, std::vector<int>{4}));
  EXPECT_EQ(shapes[2], (Shape{2, 4, 4}));
  EXPECT_EQ(shapes[3], (Shape{2, 16}));
  EXPECT_EQ(shapes[5], (Shape{2, 4, 4}));
}

TEST(UnitGroups, WidthsFitTogetherForEveryNetwork) {
  for (const NetworkSpec& spec :
       {make_zoo("vgg16", {.width = 0.125}), make_zoo("resnet20"), make_zoo("lenet"),
        make_zoo("vgg16-imagenet", {.width = 0.05}), deepsense_like(true), deepsense_like(false)}) {
    const UnitGroups groups = unit_groups(spec);
    EXPECT_EQ(with_widths(spec, groups, group_counts(groups)), spec);
    for (const int width : {1, 3}) {
      const NetworkSpec other = with_widths(spec, groups, std::vector<int>(groups.groups.size(), width));
      EXPECT_EQ(counts(unit_groups(other)).size(), groups.groups.size()) << spec.name;
      for (const auto& [name, count] : counts(unit_groups(other))) EXPECT_EQ(count, width) << spec.name << " " << name;
    }
    std::vector<int> widths = group_counts(groups);
    widths[1] = 0;
    EXPECT_THROW(with_widths(spec, groups, widths), core::Error);
  }
}

// Every index of every weight that a unit owns is found in exactly the slices that the widths account for.
TEST(UnitGroups, SlicesAccountForEveryParameter) {
  const NetworkSpec spec = deepsense_like(true);
  const UnitGroups groups = unit_groups(spec);
  for (size_t g = 0; g < groups.groups.size(); ++g) {
    std::vector<int> widths = group_counts(groups);
    --widths[g];
    const auto before = Parameters::list(spec), after = Parameters::list(with_widths(spec, groups, widths));
    for (size_t i = 0; i < before.size(); ++i)
      for (int axis = 0; axis < before[i].spec.shape.rank; ++axis) {
        const UnitSlice* slice = find(groups, before[i].name, axis);
        const auto owned =
            slice == nullptr ? 0 : std::count(slice->unit.begin(), slice->unit.end(), groups.groups[g].first);
        EXPECT_EQ(before[i].spec.shape[axis] - after[i].spec.shape[axis], owned) << before[i].name << " axis " << axis;
      }
  }
}

}  // namespace
}  // namespace fdi::nn
