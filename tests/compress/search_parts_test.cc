// The search by its parts: masks, what they do to the critic, the score function, the slope of the cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "compress/search.h"
#include "core/rng.h"
#include "nn/zoo.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

using testing::ElementsAre;

TEST(Masks, AreDrawnPerExampleAndUnit) {
  const std::vector<float> q{0, 1, 0.25F, 0.75F};
  constexpr int kExamples = 4000;
  const auto masks = draw_masks(q, kExamples, 1, 0);
  std::vector<double> mean(4);
  bool differ = false;
  for (int b = 0; b < kExamples; ++b)
    for (size_t u = 0; u < 4; ++u) {
      const float z = masks[static_cast<size_t>(b) * 4 + u];
      ASSERT_TRUE(z == 0 || z == 1);
      mean[u] += z;
      differ = differ || z != masks[u];
    }
  EXPECT_TRUE(differ);
  EXPECT_EQ(mean[0], 0);
  EXPECT_EQ(mean[1], kExamples);
  EXPECT_NEAR(mean[2], 0.25 * kExamples, 110);  // four standard deviations
  EXPECT_NEAR(mean[3], 0.75 * kExamples, 110);
  EXPECT_EQ(draw_masks(q, 5, 1, 0), draw_masks(q, 5, 1, 0));
  EXPECT_NE(draw_masks(q, 5, 1, 0), draw_masks(q, 5, 1, 1));
  EXPECT_NE(draw_masks(q, 5, 1, 0), draw_masks(q, 5, 2, 0));
}

TEST(Search, SoftensBelowTheThreshold) {
  const std::vector<float> p{0.2F, 0.5F, 0.8F};
  EXPECT_THAT(softened(p, 0.5, 0.5), ElementsAre(0.1F, 0.5F, 0.8F));
  EXPECT_THAT(softened(p, 0.5, 0), ElementsAre(0, 0.5F, 0.8F));
}

TEST(Search, NoGroupIsEverEmpty) {
  nn::UnitGroups groups;
  groups.groups = {{"a", {0}, 0, 2}, {"b", {1}, 2, 3}};
  const std::vector<float> p{0.6F, 0.1F, 0.2F, 0.4F, 0.3F};
  EXPECT_THAT(keep_at(groups, p, 0.5).units, ElementsAre(ElementsAre(0), ElementsAre(1)));
  EXPECT_THAT(keep_at(groups, p, 0.2F).units, ElementsAre(ElementsAre(0), ElementsAre(0, 1, 2)));
}

// Two examples, two units, by hand; and against differences of mean(advantage * log P).
TEST(Search, ScoreGradientByHand) {
  const std::vector<float> q{0.25F, 0.5F}, masks{1, 0, 0, 0};
  const std::vector<double> advantage{2, -1};
  const auto gradient = score_gradient(masks, q, advantage);
  EXPECT_DOUBLE_EQ(gradient[0], (2 * 4.0 - 1 * (-1 / 0.75)) / 2);
  EXPECT_DOUBLE_EQ(gradient[1], (2 * -2.0 - 1 * -2.0) / 2);
  const auto value = [&](double q0, double q1) {
    return (2 * (std::log(q0) + std::log(1 - q1)) - 1 * (std::log(1 - q0) + std::log(1 - q1))) / 2;
  };
  EXPECT_NEAR(gradient[0], (value(0.25 + 1e-5, 0.5) - value(0.25 - 1e-5, 0.5)) / 2e-5, 1e-6);
  EXPECT_NEAR(gradient[1], (value(0.25, 0.5 + 1e-5) - value(0.25, 0.5 - 1e-5)) / 2e-5, 1e-6);
  // A probability that rounding has brought to 0 or 1 gives a large number, but a number.
  for (const double g : score_gradient(std::vector<float>{1, 0}, std::vector<float>{0, 1}, std::vector<double>{1}))
    EXPECT_TRUE(std::isfinite(g));
}

// In each example the masked units are gone: its loss is that of the network whose rows are zero.
TEST(MaskedCritic, EveryExampleHasItsOwnStructure) {
  for (const nn::NetworkSpec& spec : {nn::make_zoo("lenet"), nn::make_zoo("resnet20", {.width = 0.25}),
                                      nn::deepsense_like(true), nn::deepsense_like(false)}) {
    const nn::UnitGroups groups = nn::unit_groups(spec);
    nn::Parameters parameters(spec);
    parameters.initialize(3);
    constexpr int kBatch = 3;
    MaskedCritic critic(spec, parameters, kBatch);
    const auto masks = draw_masks(std::vector<float>(static_cast<size_t>(groups.units()), 0.6F), kBatch, 1, 0);
    std::vector<float> images(static_cast<size_t>(kBatch * spec.input.size()));
    core::Rng rng(3, core::Stream::kTest);
    for (float& x : images) x = rng.normal();
    const std::vector<int> labels{1, 0, 2};
    critic.forward(masks, images.data(), labels, {}, false, 1, 0);
    const std::vector<double> losses(critic.losses().begin(), critic.losses().end());
    const std::vector<float> none(masks.size(), 1);
    critic.forward(none, images.data(), labels, {}, false, 1, 0);
    const std::vector<double> whole(critic.losses().begin(), critic.losses().end());
    for (size_t b = 0; b < kBatch; ++b) {
      nn::Parameters own(spec);
      std::copy(parameters.all().begin(), parameters.all().end(), own.all().begin());
      nn::scale_units(
          groups,
          std::span(masks).subspan(b * static_cast<size_t>(groups.units()), static_cast<size_t>(groups.units())), own);
      nn::Network network(spec, own, 1, nn::Mode::kTraining);
      std::copy_n(images.data() + static_cast<int64_t>(b) * spec.input.size(), spec.input.size(), network.input().data);
      nn::Pass pass;
      pass.batch = 1;
      nn::SoftmaxLoss loss(1, static_cast<int>(nn::output_shapes(spec).back().size()));
      EXPECT_NEAR(losses[b], loss.evaluate(network.forward(pass), std::span(labels).subspan(b, 1)).loss, 2e-5)
          << spec.name;
      EXPECT_NE(losses[b], whole[b]) << spec.name;
    }
  }
}

TEST(Objective, FlopsAndTheirSlope) {
  const nn::NetworkSpec spec = nn::make_zoo("lenet");
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const Objective flops = flops_objective(spec, groups);
  std::vector<int> widths = nn::group_counts(groups);
  const double all = flops.cost(widths);
  EXPECT_GT(all, 0.5);  // 10x10x16 outputs of 5x5x6 products alone are 0.48 MFLOP
  // FLOPs are linear in each width: the slope is exact at any distance.
  const std::vector<double> expected(widths.begin(), widths.end());
  const auto slope = cost_slope(flops, groups, expected);
  for (size_t g = 0; g < widths.size(); ++g) {
    --widths[g];
    EXPECT_NEAR(all - flops.cost(widths), slope[g], 1e-9 * all);
    ++widths[g];
  }
}

// The time of fewer units may be longer: of two groups, the lowest threshold that holds keeps 4 and 3 units; at two
// higher ones it holds no more.
TEST(Search, TakesTheLowestThresholdThatHoldsWhereTheCostRisesAgain) {
  nn::UnitGroups groups;
  groups.groups = {{"a", {0}, 0, 4}, {"b", {1}, 4, 4}};
  const std::vector<float> p{0.9F, 0.8F, 0.3F, 0.2F, 0.85F, 0.7F, 0.25F, 0.15F};
  const Cost share = [](std::span<const int> w) {
    if (w[0] <= 2 && w[1] <= 2) return 0.8;
    if (w[0] == 4 && w[1] == 3) return 0.9;
    return w[0] == 2 && w[1] == 4 ? 0.95 : 1.3;
  };
  EXPECT_THAT(widths_of(choose_by_probability(groups, p, share, 1)), ElementsAre(4, 3));
}

// An objective holds what it needs, and may be asked from any thread.
TEST(Objective, OutlivesItsArgumentsAndServesThreads) {
  nn::NetworkSpec spec = nn::make_zoo("resnet20", {.width = 0.5});
  nn::UnitGroups groups = nn::unit_groups(spec);
  const std::vector<int> whole = nn::group_counts(groups);
  const auto widths_at = [&](size_t i) {
    std::vector<int> widths = whole;
    for (size_t g = 0; g < widths.size(); ++g)
      widths[g] = 1 + static_cast<int>((i * (g + 3)) % static_cast<size_t>(widths[g]));
    return widths;
  };
  constexpr size_t kAsked = 60;
  std::vector<double> want;
  const Cost fresh = flops_objective(spec, groups).cost;
  for (size_t i = 0; i < kAsked; ++i) want.push_back(fresh(widths_at(i)));
  const Cost flops = flops_objective(spec, groups).cost, memory = memory_objective(spec, groups).cost,
             size = size_objective(spec, groups).cost;
  const double memory_before = memory(whole), size_before = size(widths_at(5));
  spec = {};
  groups = {};
  EXPECT_EQ(memory(whole), memory_before);
  EXPECT_EQ(size(widths_at(5)), size_before);
  std::vector<double> got(kAsked);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = t; i < kAsked; i += 4) got[i] = flops(widths_at(i));
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace fdi::compress
