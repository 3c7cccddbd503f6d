// Budgets that cannot be met, or are met already, and why.
#include "compress/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "nn/zoo.h"
#include "tests/compress/stepped_model.h"

namespace fdi::compress {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

class Budget : public testing::Test {
 protected:
  // A convolution of an odd number of channels takes 50 us more.
  const profile::TimeModel model_ =
      planted_model({{nn::Op::kConv2d,
                      {split(profile::Field::kOutChannel, profile::Condition::Kind::kMultiple, 2, 1, 2),
                       leaf(linear_law(10, 1, 0)), leaf(linear_law(60, 1, 0))}}});
  const nn::NetworkSpec spec_ = nn::make_zoo("lenet");
  const nn::UnitGroups groups_ = nn::unit_groups(spec_);

  std::vector<Limit> limits(double ms, double mb = 0, double size = 0) const {
    SearchConfig config;
    config.max_ms = ms;
    config.max_mb = mb;
    config.target_size = size;
    return limits_of(config, spec_, groups_, &model_);
  }
  void check(const std::vector<Limit>& limits) const { check_budgets(limits, spec_, groups_, &model_); }
};

TEST_F(Budget, TimeIsWhatTheModelPredicts) {
  const Objective time = time_objective(spec_, groups_, model_);
  core::Rng rng(1, core::Stream::kTest);
  for (int i = 0; i < 20; ++i) {
    std::vector<int> widths;
    for (const nn::UnitGroup& g : groups_.groups)
      widths.push_back(1 + static_cast<int>(rng.below(static_cast<uint32_t>(g.count))));
    EXPECT_EQ(time.cost(widths),
              profile::predict_network(model_, nn::with_widths(spec_, groups_, widths)).total_us / 1000);
  }
}

// Twice the difference of one step over the reach: an odd width's 50 us neither hide the slope nor make a cliff of it.
TEST_F(Budget, TheSlopeSeesThroughSteps) {
  const Objective time = time_objective(spec_, groups_, model_);
  std::vector<double> expected;
  for (const nn::UnitGroup& g : groups_.groups) expected.push_back(g.count / 2.0);
  const std::vector<double> slope = cost_slope(time, groups_, expected);
  const Objective flops = flops_objective(spec_, groups_);
  const std::vector<double> of_flops = cost_slope(flops, groups_, expected);
  // 1 us per MFLOP of the convolutions, between equally odd widths: conv2 at 8, between 1 and 16, is not among them.
  EXPECT_NEAR(slope[1], 1e-3 * of_flops[1] + (10 - 60) * 1e-3 / 15, 2e-4);
}

TEST_F(Budget, KeptAlready) {
  EXPECT_THAT(kept_already(limits(100), groups_), AllOf(HasSubstr("ms of time"), HasSubstr("the budget 100 ms")));
  EXPECT_THAT(kept_already(limits(100, 100), groups_), HasSubstr("100 MiB of memory"));
  EXPECT_EQ(kept_already(limits(100, 0, 0.5), groups_), "") << "one of them is left to be met";
  EXPECT_NO_THROW(check(limits(100)));
}

TEST_F(Budget, BelowTheLeastTheLayersAreNamed) {
  const Objective time = time_objective(spec_, groups_, model_);
  const std::vector<int> cheapest = cheapest_widths(groups_, time.cost);
  EXPECT_EQ(cheapest[0], 2) << "one channel is odd";
  const double least = time.cost(cheapest);
  EXPECT_NO_THROW(check(limits(1.01 * least)));
  EXPECT_THAT([&] { check(limits(0.99 * least)); },
              ThrowsMessage<core::Error>(
                  AllOf(HasSubstr(fmt::format("the least that this network can come to, {:.4g} ms of time", least)),
                        HasSubstr("the few that cost less"), HasSubstr("most of it: conv"), Not(HasSubstr("\n")))));
}

TEST_F(Budget, MemoryAndSizeHaveALeastToo) {
  EXPECT_THAT([&] { check(limits(0, 1e-3)); },
              ThrowsMessage<core::Error>(AllOf(HasSubstr("0.001 MiB of memory is below the least"),
                                               HasSubstr("one unit in every layer that may lose some"))));
  EXPECT_THAT([&] { check(limits(0, 0, 1e-5)); }, ThrowsMessage<core::Error>(HasSubstr("of the parameters is below")));
}

TEST_F(Budget, AmountsThatDifferReadDifferently) {
  const Objective time = time_objective(spec_, groups_, model_), size = size_objective(spec_, groups_);
  const auto differ = [](const Objective& what, double a, double b) {
    const int digits = telling_digits(what, a, b);
    EXPECT_NE(amount(what, a, digits), amount(what, b, digits));
    return digits;
  };
  EXPECT_EQ(differ(time, 1.2, 1.0), kAmountDigits);
  EXPECT_EQ(differ(time, 0.30000012, 0.3), 7);
  EXPECT_EQ(amount(time, 0.30000012, 7), "0.3000001 ms of time");
  for (const Objective& what : {time, size}) differ(what, std::nextafter(0.3, 1), 0.3);
  EXPECT_EQ(differ(size, 0.10004, 0.1), 6);
}

}  // namespace
}  // namespace fdi::compress
