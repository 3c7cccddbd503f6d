// Expansion on planted time models: the walk of Algorithm 2 by hand and with the paper's numbers, the joint optimum
// against all combinations, and what measuring does to a promise.
#include "compress/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compress/elimination.h"
#include "nn/zoo.h"
#include "profile/op_model.h"
#include "tests/compress/stepped_model.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

using nn::Op;
using profile::Field;
using testing::ElementsAre;
using testing::IsEmpty;
constexpr auto kMultiple = profile::Condition::Kind::kMultiple;
constexpr auto kRange = profile::Condition::Kind::kRange;

struct Network {
  explicit Network(nn::NetworkSpec network, profile::TimeModel times_of)
      : spec(std::move(network)), groups(nn::unit_groups(spec)), model(std::move(times_of)) {}
  nn::NetworkSpec spec;
  nn::UnitGroups groups;
  profile::TimeModel model;
  NetworkTimes times{spec, groups, model};
};

TEST(Elimination, AgreesWithAllCombinations) {
  core::Rng rng(1, core::Stream::kTest);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> choices, all;
    for (int v = 0; v < 5; ++v) {
      choices.push_back(1 + static_cast<int>(rng.below(4)));
      all.push_back(v);
    }
    std::vector<CostTable> tables;
    for (int t = 0; t < 6; ++t) {
      CostTable table;
      for (int v = 0; v < 5; ++v)
        if (rng.uniform() < 0.4F) table.variables.push_back(v);
      if (table.variables.empty()) continue;
      // Whole numbers: sums are exact, equal ones occur.
      for (size_t i = table_size(choices, table.variables, 1000); i-- > 0;)
        table.cost.push_back(static_cast<double>(rng.below(10)));
      tables.push_back(std::move(table));
    }
    const auto sum = [&](const std::vector<int>& choice) {
      double cost = 0;
      for (const CostTable& table : tables) {
        size_t index = 0;
        for (const int v : table.variables)
          index = index * static_cast<size_t>(choices[static_cast<size_t>(v)]) +
                  static_cast<size_t>(choice[static_cast<size_t>(v)]);
        cost += table.cost[index];
      }
      return cost;
    };
    double least = 1e9;
    std::vector<int> choice(5);
    do least = std::min(least, sum(choice));
    while (next_choice(choices, all, choice));
    const auto found = least_sum(choices, tables);
    ASSERT_TRUE(found);
    EXPECT_EQ(sum(*found), least);
  }
}

TEST(Elimination, TheSmallerOfEqualChoicesAndALimit) {
  const std::vector<int> choices{3, 3, 3};
  EXPECT_THAT(least_sum(choices, {{{0}, {1, 1, 1}}, {{1}, {2, 1, 1}}}).value(), ElementsAre(0, 1, 0));
  const std::vector<CostTable> triangle{
      {{0, 1}, std::vector<double>(9)}, {{1, 2}, std::vector<double>(9)}, {{0, 2}, std::vector<double>(9)}};
  EXPECT_TRUE(least_sum(choices, triangle, 27));
  EXPECT_FALSE(least_sum(choices, triangle, 26));
}

// Equation 9: 3x3 on 24x24, in milliseconds. conv2's in_channel is conv1's width.
std::vector<profile::Node> nexus() {
  const auto law = [](double flops, double mem, double param_size, double bias) {
    return profile::Law{.variables = {{.field = Field::kFlops}, {.field = Field::kMem}, {.field = Field::kParamSize}},
                        .weight = {flops, mem, param_size},
                        .bias = bias};
  };
  return {split(Field::kInChannel, kMultiple, 4, 1, 2), leaf(law(3.41e-8, 4.03e-6, 7.11e-25, 8.11)),
          leaf(law(3.11e-8, 8.03e-6, 1.52e-34, 12.82))};
}

TEST(ExpandPaper, WidensInsideTheSafeRegionOnly) {
  // Equation 10 by hand: y_T(in + d, out) against y_F(in, out) with the laws of equation 9.
  const auto faster = [](int in, int d, int out) {
    const double product_t = 3.41e-8 * 2 * 576 * 9, product_f = 3.11e-8 * 2 * 576 * 9;
    const double per_in = 576 + 576 * 9, per_out = 576;
    return product_t * (in + d) * out + 4.03e-6 * (per_in * (in + d) + per_out * out) + 8.11 <
           product_f * in * out + 8.03e-6 * (per_in * in + per_out * out) + 12.82;
  };
  int widened = 0, left = 0;
  for (const int in : {17, 61, 63, 801, 933, 1297, 2045}) {
    const Network n(chain({in, in, 16}, 24), planted_model({{Op::kConv2d, nexus()}}));
    const int d = (4 - in % 4) % 4;
    EXPECT_EQ(expand_paper(n.times)[0], faster(in, d, in) ? in + d : in) << in;
    (faster(in, d, in) ? widened : left)++;
  }
  EXPECT_GT(widened, 2);
  EXPECT_GT(left, 0);
}

// Line 15 as printed has the sign turned round: it would widen where that is slower.
TEST(ExpandPaper, DoesNotWidenToASlowerLaw) {
  const std::vector<profile::Node> slow{split(Field::kInChannel, kMultiple, 4, 1, 2), leaf(linear_law(9, 10, 1)),
                                        leaf(linear_law(1, 1, 0.1))};
  const Network n(chain({13, 13, 16}), planted_model({{Op::kConv2d, slow}}));
  EXPECT_EQ(expand_paper(n.times), n.times.own());
  EXPECT_EQ(expand_joint(n.times), n.times.own());
}

// in_channel <= bound: multiples of 8 are fast; above, nothing is known of them.
TEST(ExpandPaper, KeepsTheRangesThatItHasPassed) {
  const auto times = [](double bound) {
    return planted_model({{Op::kConv2d,
                           {split(Field::kInChannel, kRange, bound, 1, 2), split(Field::kInChannel, kMultiple, 8, 3, 4),
                            leaf(linear_law(9, 9, 1)), leaf(linear_law(1, 1, 0.1)), leaf(linear_law(5, 5, 1))}}});
  };
  EXPECT_THAT(expand_paper(Network(chain({13, 20, 16}), times(16)).times), ElementsAre(16, 20, 16));
  EXPECT_THAT(expand_paper(Network(chain({13, 20, 16}), times(15)).times), ElementsAre(13, 20, 16));
}

// An fc behind a flatten of 4 x 4 pixels reads each unit 16 times, a joined axis the units of both branches.
TEST(ExpandPaper, CountsChannelsThroughFlattenAndConcat) {
  const auto wants = [](Op op, double multiple) {
    return planted_model({{op,
                           {split(Field::kInChannel, kMultiple, multiple, 1, 2), leaf(linear_law(1, 1, 0.1)),
                            leaf(linear_law(9, 9, 1))}}});
  };
  EXPECT_THAT(expand_paper(Network(chain({5, 5, 16}), wants(Op::kFc, 32)).times), ElementsAre(5, 6, 32));
  EXPECT_THAT(expand_paper(Network(chain({5, 5, 16}), wants(Op::kFc, 7)).times), ElementsAre(5, 7, 21));
  // 5 + 7 channels are joined: 4 more of the first branch make 16, for the convolution that reads them.
  const Network joined(nn::deepsense_like(true), wants(Op::kConv2d, 16));
  const auto components = device::components(nn::with_widths(joined.spec, joined.groups, expand_paper(joined.times)));
  const auto merge = std::ranges::find(components, "merge", [](const auto& c) { return c.layer.name; });
  EXPECT_EQ(merge->in[0].back(), 16);
}

// The producer is slower wider, its reader faster: what is shorter together counts.
TEST(ExpandPaper, SettlesConflictsByTheTotal) {
  const auto times = [](double reader_gain) {
    // in_channel 3 (the image): the producer, slow where out_channel is a multiple of 8. Else: the reader.
    return planted_model(
        {{Op::kConv2d,
          {split(Field::kInChannel, kRange, 3, 1, 2), split(Field::kOutChannel, kMultiple, 8, 3, 4),
           split(Field::kInChannel, kMultiple, 8, 5, 6), leaf(linear_law(30, 1, 0.1)), leaf(linear_law(20, 1, 0.1)),
           leaf(linear_law(50 - reader_gain, 1, 0.1)), leaf(linear_law(50, 1, 0.1))}}});
  };
  EXPECT_THAT(expand_paper(Network(chain({13, 20, 16}), times(15)).times), ElementsAre(16, 20, 16));
  EXPECT_THAT(expand_paper(Network(chain({13, 20, 16}), times(8)).times), ElementsAre(13, 20, 16));
}

// A stepped model whose convolutions are slower once the network takes more than so many bytes.
profile::TimeModel bounded_model(uint64_t seed, double bytes) {
  const profile::TimeModel stepped = stepped_model(seed);
  std::vector<profile::Node> nodes = stepped.op(Op::kConv2d).tree().nodes;
  for (profile::Node& node : nodes) {
    node.law.variables.push_back({.field = Field::kParamSize, .gate = Field::kNetworkBytes, .above = bytes});
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

// A stopwatch that says what it is told, one pair after the other.
struct Planted {
  std::vector<double> after;
  int calls = 0;
  std::vector<double> operator()(const std::vector<const nn::Model*>& models) {
    EXPECT_EQ(models.size(), 2U);
    EXPECT_GT(models[1]->parameters.all().size(), models[0]->parameters.all().size());
    return {100, after.at(static_cast<size_t>(calls++))};
  }
};

std::vector<Trial> tried(const Network& n, const std::vector<int>& widths, std::vector<double> after) {
  Planted planted{std::move(after)};
  return try_widening(random_model(n.spec), n.groups, n.times, widths, std::ref(planted));
}

TEST(TryWidening, CountsOnlyWhatIsFasterWhenMeasured) {
  const Network n(chain({13, 21, 10}), stepped_model(2));
  const std::vector<int> widths{16, 24, 12};
  EXPECT_THAT(tried(n, n.times.own(), {}), IsEmpty());
  const auto first = tried(n, widths, {98});
  ASSERT_EQ(first.size(), 1U);
  EXPECT_TRUE(first[0].faster());
  EXPECT_EQ(first[0].widths, widths);
  EXPECT_EQ(first[0].predicted_us, n.times.total_us(widths));
  EXPECT_TRUE(tried(n, widths, {100, 98})[1].faster());
  const auto never = tried(n, widths, {101, 99.2, 130});  // within noise is not faster; 3 groups, then 1, then none
  EXPECT_EQ(never.size(), 2U);
  EXPECT_FALSE(never.back().faster());
}

// The half that the model promises least of goes first.
TEST(TryWidening, DropsTheLeastUsefulFirst) {
  const Network n(chain({13, 21, 10, 9}), stepped_model(5));
  const std::vector<int> widths{16, 24, 12, 16};
  const auto trials = tried(n, widths, {101, 102, 103});
  ASSERT_EQ(trials.size(), 3U);
  std::vector<std::pair<double, size_t>> gains;
  for (size_t g = 0; g < 4; ++g) {
    std::vector<int> without = widths;
    without[g] = n.times.own()[g];
    gains.emplace_back(n.times.total_us(without), g);
  }
  std::ranges::sort(gains);
  for (size_t k = 0; k < 4; ++k) {
    const size_t g = gains[k].second;
    EXPECT_EQ(trials[1].widths[g], k < 2 ? n.times.own()[g] : widths[g]);
  }
  EXPECT_EQ(std::ranges::count_if(std::vector<size_t>{0, 1, 2, 3},
                                  [&](size_t g) { return trials[2].widths[g] != n.times.own()[g]; }),
            1);
}

}  // namespace
}  // namespace fdi::compress
