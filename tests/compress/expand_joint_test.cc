// All widths together: the optimum against all combinations and against Algorithm 2, on chains and other graphs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compress/elimination.h"
#include "compress/expand.h"
#include "nn/zoo.h"
#include "profile/op_model.h"
#include "tests/compress/expand_network.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

using nn::Op;
using profile::Field;
using testing::ElementsAre;

// A stepped model whose convolutions are slower once the network takes more than so many bytes.
profile::TimeModel bounded_model(uint64_t seed, double bytes) {
  const profile::TimeModel stepped = stepped_model(seed);
  std::vector<profile::Node> nodes = stepped.op(Op::kConv2d).tree().nodes;
  for (profile::Node& node : nodes) {
    node.law.variables.push_back({.field = Field::kParamSize, .gate = {.above = bytes}});
    node.law.weight.push_back(2e-3);
  }
  return planted_model({{Op::kConv2d, nodes}, {Op::kFc, stepped.op(Op::kFc).tree().nodes}});
}

TEST(ExpandJoint, IsTheBestOfAllCombinations) {
  core::Rng rng(7, core::Stream::kTest);
  int better_than_paper = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::vector<int> units(4);
    for (int& width : units) width = 3 + static_cast<int>(rng.below(30));
    const Network n(chain(units), stepped_model(seed));
    const auto candidates = expansion_candidates(n.times);
    std::vector<int> choices, all, choice(4);
    for (int g = 0; g < 4; ++g) {
      choices.push_back(static_cast<int>(candidates[static_cast<size_t>(g)].size()));
      all.push_back(g);
    }
    double least = 1e18;
    do {
      std::vector<int> widths;
      widths.reserve(4);
      for (size_t g = 0; g < 4; ++g) widths.push_back(candidates[g][static_cast<size_t>(choice[g])]);
      least = std::min(least, n.times.total_us(widths));
    } while (next_choice(choices, all, choice));
    const double joint = n.times.total_us(expand_joint(n.times)), paper = n.times.total_us(expand_paper(n.times));
    EXPECT_LE(joint, least * (1 + 1e-9)) << seed;
    EXPECT_LE(joint, paper * (1 + 1e-9));
    EXPECT_LE(paper, n.times.total_us(n.times.own()) * (1 + 1e-9));
    better_than_paper += joint < paper * 0.999 ? 1 : 0;
  }
  EXPECT_GT(better_than_paper, 0);
}

// DeepIoT+localMin is never slower by the model: 50 VGGs of random widths, half of them with rules of the whole
// network's size, which the tables do not know.
TEST(ExpandJoint, IsNeverSlowerOnRandomNarrowNetworks) {
  const nn::NetworkSpec vgg = nn::make_zoo("vgg16", {.width = 0.5});
  const nn::UnitGroups groups = nn::unit_groups(vgg);
  core::Rng rng(11, core::Stream::kTest);
  int faster = 0, beyond_paper = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<int> widths = nn::group_counts(groups);
    for (int& width : widths) width = 1 + static_cast<int>(rng.below(static_cast<uint32_t>(width)));
    const nn::NetworkSpec spec = nn::with_widths(vgg, groups, widths);
    const Network n(spec, seed % 2 == 0 ? stepped_model(seed) : bounded_model(seed, 4e6 * double{rng.uniform()}));
    const double own = n.times.total_us(n.times.own()), paper = n.times.total_us(expand_paper(n.times)),
                 joint = n.times.total_us(expand_joint(n.times));
    EXPECT_LE(paper, own) << seed;
    EXPECT_LE(joint, paper * (1 + 1e-9)) << seed;
    faster += joint < 0.99 * own ? 1 : 0;
    beyond_paper += joint < 0.999 * paper ? 1 : 0;
  }
  EXPECT_GT(faster, 40);
  EXPECT_GT(beyond_paper, 5);
}

// A layer is faster only where both of its channels are multiples: each change of one width alone is slower.
TEST(ExpandJoint, FindsWhatNoSingleChangeShows) {
  const std::vector<profile::Node> both{split(Field::kInChannel, kMultiple, 8, 1, 2),
                                        split(Field::kOutChannel, kMultiple, 8, 3, 4), leaf(linear_law(10, 1, 0)),
                                        leaf(linear_law(2, 1, 0)), leaf(linear_law(10, 1, 0))};
  const Network n(chain({3, 13, 13, 16}), planted_model({{Op::kConv2d, both}}));
  EXPECT_THAT(expand_joint(n.times), ElementsAre(8, 16, 16, 16));
  EXPECT_EQ(expand_paper(n.times), n.times.own());
}

// Additions and joins: tables over the groups that share layers; the model also asks for the whole network's size.
TEST(ExpandJoint, OnOtherGraphsNoSingleChangeIsShorter) {
  for (const nn::NetworkSpec& spec :
       {nn::make_zoo("resnet20", {.width = 0.4}), nn::deepsense_like(true), nn::deepsense_like(false)})
    for (uint64_t seed = 0; seed < 3; ++seed) {
      const Network n(spec, stepped_model(seed));
      const std::vector<int> widths = expand_joint(n.times);
      const double us = n.times.total_us(widths);
      EXPECT_LT(us, n.times.total_us(n.times.own())) << spec.name;
      EXPECT_LE(us, n.times.total_us(expand_paper(n.times)) * (1 + 1e-9)) << spec.name;
      const auto candidates = expansion_candidates(n.times);
      for (size_t g = 0; g < widths.size(); ++g)
        for (const int width : candidates[g]) {
          std::vector<int> other = widths;
          other[g] = width;
          EXPECT_GE(n.times.total_us(other), us * (1 - 1e-9));
        }
    }
}

TEST(ExpandJoint, AModelThatOnlyRoundsUpIsNeverFasterWider) {
  profile::Law rounded = linear_law(2, 20, 0.1);
  rounded.variables[0].granularity[profile::Axis::kOutChannel] = 16;
  rounded.variables[0].granularity[profile::Axis::kInChannel] = 4;
  const Network n(chain({13, 21, 9}), planted_model({{Op::kConv2d, {leaf(rounded)}}}));
  EXPECT_THAT(expansion_candidates(n.times)[0], ElementsAre(13, 16));
  EXPECT_THAT(expansion_candidates(n.times)[1], ElementsAre(21, 32));
  EXPECT_EQ(expand_joint(n.times), n.times.own());
  EXPECT_EQ(expand_paper(n.times), n.times.own());
}

}  // namespace
}  // namespace fdi::compress
