// Expansion: the walk of Algorithm 2 by hand and with the paper's numbers, and what measuring does to a promise.
#include "compress/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "nn/summary.h"
#include "tests/compress/expand_network.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

using nn::Op;
using profile::Field;
using testing::ElementsAre;
using testing::IsEmpty;
constexpr auto kRange = profile::Condition::Kind::kRange;

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

// A stopwatch that says what it is told, one pair after the other.
struct Stepped {
  std::vector<double> after;
  int calls = 0;
  std::vector<double> operator()(const std::vector<nn::NetworkSpec>& networks) {
    EXPECT_EQ(networks.size(), 2U);
    EXPECT_GT(nn::summarize(networks[1]).parameters, nn::summarize(networks[0]).parameters);
    return {100, after.at(static_cast<size_t>(calls++))};
  }
};

std::vector<Trial> tried(const Network& n, const std::vector<int>& widths, std::vector<double> after) {
  Stepped planted{std::move(after)};
  return try_widening(n.spec, n.groups, n.times, widths, std::ref(planted));
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
