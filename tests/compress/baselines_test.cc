// The baselines: uniform scaling, Taylor importance, and pruning under a falling budget.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compress/knapsack.h"
#include "compress/objective.h"
#include "compress/shrink.h"
#include "compress/taylor.h"
#include "compress/uniform.h"
#include "nn/evaluate.h"
#include "nn/loss.h"
#include "nn/trainer.h"
#include "nn/zoo.h"
#include "tests/compress/stepped_model.h"
#include "tests/nn/array_source.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

using nn::Op;
using testing::Each;
using testing::ElementsAre;
using testing::Gt;

double sum_of(std::span<const int> widths) {
  double sum = 0;
  for (const int width : widths) sum += width;
  return sum;
}

TEST(Uniform, ScoresAreColumnSumsWithTheNormInside) {
  nn::Model model = random_model(chain({2, 3}));
  const nn::UnitGroups groups = nn::unit_groups(model.spec);
  const auto set = [&](const char* name, const std::vector<float>& values) {
    const core::Tensor t = model.parameters.tensor(*model.parameters.find(name));
    ASSERT_EQ(t.size(), std::ssize(values));
    std::ranges::copy(values, t.data);
  };
  std::vector<float> conv(54);  // 3x3x3 taps of 2 units
  for (size_t i = 0; i < 27; ++i) {
    conv[2 * i] = i % 2 == 0 ? 0.5F : -0.5F;
    conv[2 * i + 1] = 0.25F;
  }
  set("conv1.weight", conv);
  set("conv1_bn.gamma", {1, -4});
  set("conv1_bn.running_var", {4 - 1e-5F, 1 - 1e-5F});
  const std::vector<double> score = weight_scores(model, groups);
  ASSERT_EQ(score.size(), 5U);
  EXPECT_NEAR(score[0], 27 * 0.5 / 2, 1e-5);
  EXPECT_NEAR(score[1], 27 * 0.25 * 4, 1e-4);
  const core::Tensor fc = model.parameters.tensor(*model.parameters.find("fc1.weight"));
  for (int64_t unit = 0; unit < 3; ++unit) {
    double sum = 0;
    for (int64_t i = unit; i < fc.size(); i += 3) sum += std::abs(fc.data[i]);
    EXPECT_NEAR(score[static_cast<size_t>(2 + unit)], sum, 1e-6 * sum);
  }
}

// A unit of a residual stage is scored by all layers that produce it, one of a gru by all gates.
TEST(Uniform, EveryUnitOfEveryNetworkIsScored) {
  for (const nn::NetworkSpec& spec :
       {nn::make_zoo("resnet20", {.width = 0.25}), nn::deepsense_like(true), nn::deepsense_like(false)}) {
    const nn::Model model = random_model(spec);
    const nn::UnitGroups groups = nn::unit_groups(spec);
    EXPECT_THAT(weight_scores(model, groups), testing::AllOf(testing::SizeIs(groups.units()), Each(Gt(0.0))));
  }
}

TEST(Uniform, TakesTheLargestFactorThatFits) {
  const nn::NetworkSpec spec = chain({8, 20, 10});
  const nn::UnitGroups groups = nn::unit_groups(spec);
  EXPECT_THAT(scaled_widths(groups, 0.5), ElementsAre(4, 10, 5));
  EXPECT_THAT(scaled_widths(groups, 0.01), ElementsAre(1, 1, 1));
  std::vector<double> score(38);
  for (size_t u = 0; u < score.size(); ++u) score[u] = static_cast<double>((u * 7) % 11);
  for (const double budget : {38.0, 37.0, 20.0, 11.5, 3.0}) {
    const Keep keep = uniform_under_budget(groups, score, sum_of, budget);
    const std::vector<int> widths = widths_of(keep);
    EXPECT_EQ(keep, best_units(groups, score, widths));
    EXPECT_LE(sum_of(widths), budget);
    double most = 0;  // of any factor
    for (int i = 1; i <= 100000; ++i)
      if (const double cost = sum_of(scaled_widths(groups, i * 1e-5)); cost <= budget) most = std::max(most, cost);
    EXPECT_EQ(sum_of(widths), most) << budget;
  }
  EXPECT_THAT(widths_of(uniform_under_budget(groups, score, sum_of, 2.9)), ElementsAre(1, 1, 1)) << "the least";
}

// A cost with steps: some narrower networks cost more than wider ones.
TEST(Uniform, IsNotFooledByACostThatFallsAndRises) {
  const nn::UnitGroups groups = nn::unit_groups(chain({16, 16, 16}));
  const Cost stepped = [](std::span<const int> w) { return w[0] % 4 == 0 ? w[0] : 2.0 * w[0]; };
  EXPECT_THAT(widths_of(uniform_under_budget(groups, std::vector<double>(48, 1), stepped, 12)),
              ElementsAre(12, 12, 12));
  EXPECT_THAT(widths_of(uniform_under_budget(groups, std::vector<double>(48, 1), stepped, 11)), ElementsAre(8, 8, 8));
  EXPECT_THAT(widths_of(uniform_under_budget(groups, std::vector<double>(48, 1), stepped, 1)), ElementsAre(1, 1, 1));
  const Cost one_is_dear = [](std::span<const int> w) { return w[0] < 8 ? 20.0 : w[0]; };
  EXPECT_THAT(widths_of(uniform_under_budget(groups, std::vector<double>(48, 1), one_is_dear, 1)), ElementsAre(8, 8, 8))
      << "the least, which is not the narrowest";
}

// Without kinks, so that differences of the loss tell its gradient.
nn::NetworkSpec smooth() {
  nn::SpecBuilder b("smooth", {6, 6, 2});
  for (const auto& [name, units] : {std::pair(std::string("conv1"), 4), std::pair(std::string("conv2"), 5)}) {
    b.add(Op::kConv2d, name, {.units = units, .kernel = {3, 3}, .bias = false});
    b.add(Op::kBatchNorm, name + "_bn");
    b.add(Op::kTanh, name + "_tanh");
  }
  b.add(Op::kGlobalAvgPool, "pool");
  b.add(Op::kFc, "fc1", {.units = 6});
  b.add(Op::kTanh, "fc1_tanh");
  b.add(Op::kFc, "fc2", {.units = 4});
  return b.take();
}

// To first order what the loss changes by when a unit goes a little: its norm's output, or what produces it.
TEST(Taylor, IsTheChangeOfTheLoss) {
  const nn::NetworkSpec spec = smooth();
  nn::Model model = random_model(spec);
  const nn::UnitGroups groups = nn::unit_groups(spec);
  constexpr int kBatch = 4, kClasses = 4;
  nn::Network network(spec, model.parameters, kBatch, nn::Mode::kTraining);
  nn::SoftmaxLoss loss(kBatch, kClasses);
  core::Rng rng(1, core::Stream::kTest);
  for (float& x : network.input().span()) x = rng.normal();
  const std::vector<int> labels{1, 0, 2, 3};
  nn::Pass pass;
  pass.batch = kBatch;
  pass.training = true;
  std::vector<float> gradient(size_t{kBatch} * kClasses);
  const auto forward = [&] { return loss.evaluate(network.forward(pass), labels, gradient.data()).loss; };
  forward();
  network.backward(pass, {gradient.data(), {kBatch, kClasses}});
  TaylorImportance importance(spec, groups);
  for (int batch = 0; batch < 2; ++batch) importance.add(model.parameters.trainable(), network.gradients());
  const std::vector<double> score = importance.mean();
  ASSERT_THAT(score, testing::SizeIs(groups.units()));

  constexpr float kLess = 0.01F;
  const auto loss_with = [&](const std::vector<std::string>& tensors, int column, float factor) {
    std::vector<std::pair<float*, float>> was;
    for (const std::string& name : tensors) {
      const core::Tensor t = model.parameters.tensor(*model.parameters.find(name));
      for (int64_t i = column; i < t.size(); i += t.shape.back()) {
        was.emplace_back(t.data + i, t.data[i]);
        t.data[i] *= factor;
      }
    }
    const double with = forward();
    for (const auto& [at, value] : was) *at = value;
    return with;
  };
  for (const nn::UnitGroup& group : groups.groups) {
    const bool norm = group.name != "fc1";
    const std::vector<std::string> tensors = norm ? std::vector{group.name + "_bn.gamma", group.name + "_bn.beta"}
                                                  : std::vector{group.name + ".weight", group.name + ".bias"};
    for (int u = 0; u < group.count; ++u) {
      const double slope = (loss_with(tensors, u, 1 + kLess) - loss_with(tensors, u, 1 - kLess)) / (2 * double{kLess});
      EXPECT_NEAR(score[static_cast<size_t>(group.first + u)], std::abs(slope), 0.01 * std::abs(slope) + 1e-4)
          << group.name << " " << u;
    }
  }
}

// The last choice, without measuring.
Keep choose_last(const Pruned& pruned, const Cost& cost, double budget) {
  return kept_of(pruned.keep, choose_under_budget(pruned.groups, pruned.score, cost, budget));
}

// Planted importances: what stays in the end is the best that the budget pays for, and the keep says which units.
TEST(Knapsack, KeepsTheBestOfTheOriginalUnits) {
  const nn::Model model = random_model(chain({6, 7, 5}));
  const nn::UnitGroups groups = nn::unit_groups(model.spec);
  std::vector<double> worth(18);
  for (size_t u = 0; u < worth.size(); ++u) worth[u] = 1 + static_cast<double>((u * 5) % 18);  // all different
  std::vector<std::vector<int>> now = keep_all(groups).units;  // of each round: the original units
  const auto train = [&](nn::Model& trained, const nn::UnitGroups& left, int) {
    // Follows the units by a weight that tells them apart.
    std::vector<double> score;
    for (size_t g = 0; g < left.groups.size(); ++g)
      for (int u = 0; u < left.groups[g].count; ++u) {
        const bool conv = g < 2;
        const auto mark = [&](const nn::Model& m) {
          return m.parameters.tensor(
              *m.parameters.find(conv ? m.spec.layers[g * 3].name + "_bn.gamma" : std::string("fc1.bias")));
        };
        const float value = mark(trained).data[u];
        const core::ConstTensor all = mark(model);
        const auto original = std::find(all.data, all.data + all.size(), value) - all.data;
        score.push_back(worth[static_cast<size_t>(groups.groups[g].first + original)]);
      }
    return score;
  };
  for (const int rounds : {1, 4}) {
    Pruned pruned = unpruned(random_model(model.spec));
    prune_under_budget(pruned, sum_of, 8, rounds, train);
    ASSERT_EQ(std::ssize(pruned.rounds), rounds - 1);
    for (int r = 0; r < rounds - 1; ++r) {
      const PruneRound& round = pruned.rounds[static_cast<size_t>(r)];
      EXPECT_NEAR(round.budget, 18 * std::pow(kRoom * 8.0 / 18, (r + 1.0) / (rounds - 1)), 1e-9);
      EXPECT_LE(round.cost, round.budget);
      EXPECT_EQ(round.cost, sum_of(round.widths));
    }
    const nn::Model left = shrink(model, groups, pruned.keep);
    EXPECT_EQ(pruned.model.spec, left.spec);
    EXPECT_TRUE(std::ranges::equal(pruned.model.parameters.all(), left.parameters.all()));
    const Keep keep = choose_last(pruned, sum_of, 8);
    // Every unit costs 1: the 8 of the highest worth.
    std::vector<double> sorted = worth;
    std::ranges::sort(sorted, std::greater{});
    for (size_t g = 0; g < 3; ++g)
      for (int u = 0; u < groups.groups[g].count; ++u)
        EXPECT_EQ(std::ranges::count(keep.units[g], u),
                  worth[static_cast<size_t>(groups.groups[g].first + u)] >= sorted[7] ? 1 : 0);
  }
}

// With times in steps the choice is near the best of all: importance falls within a group, so that widths decide.
TEST(Knapsack, NearTheBestOfAllWidthsOnSteppedTimes) {
  double worst = 1;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const nn::NetworkSpec spec = chain({12, 14, 10});
    const nn::UnitGroups groups = nn::unit_groups(spec);
    const profile::TimeModel model = stepped_model(seed);
    const Objective time = time_objective(spec, groups, model);
    core::Rng rng(seed, core::Stream::kTest);
    std::vector<double> score(static_cast<size_t>(groups.units()));
    for (double& s : score) s = rng.uniform();
    const double least = time.cost(cheapest_widths(groups, time.cost));
    const double budget = least + 0.4 * (time.cost(nn::group_counts(groups)) - least);
    const auto worth = [&](std::span<const int> widths) {
      const Keep keep = best_units(groups, score, widths);
      double sum = 0;
      for (size_t g = 0; g < keep.units.size(); ++g)
        for (const int u : keep.units[g])
          sum += score[static_cast<size_t>(groups.groups[g].first) + static_cast<size_t>(u)];
      return sum;
    };
    double best = 0;
    for (int a = 1; a <= 12; ++a)
      for (int b = 1; b <= 14; ++b)
        for (int c = 1; c <= 10; ++c)
          if (const std::vector<int> widths{a, b, c}; time.cost(widths) <= budget) best = std::max(best, worth(widths));
    Pruned pruned = unpruned(random_model(spec));
    prune_under_budget(pruned, time.cost, budget, 1, [&](nn::Model&, const nn::UnitGroups&, int) { return score; });
    const std::vector<int> widths = widths_of(choose_last(pruned, time.cost, budget));
    EXPECT_LE(time.cost(widths), budget);
    worst = std::min(worst, worth(widths) / best);
  }
  EXPECT_GT(worst, 0.9);
}

// On a problem that half of the units solve: pruned by what training says, the network still knows its classes.
TEST(Knapsack, TrainsAndPrunes) {
  const nn::NetworkSpec spec = nn::small_network();
  nn::ArraySource test(200, spec.input, 10, 50, false, 9);
  const nn::UnitGroups whole = nn::unit_groups(spec);
  const Cost flops = flops_objective(spec, whole).cost;
  const double budget = 0.7 * flops(nn::group_counts(whole));
  const auto run = [&] {
    nn::Parameters parameters(spec);
    parameters.initialize(1);
    nn::ArraySource source(640, spec.input, 10, 32, true);
    Pruned pruned = unpruned({spec, std::move(parameters), {}});
    prune_under_budget(pruned, flops, budget, 4, train_with_sgd(source, {.steps = 30, .batch = 32, .lr = 0.02}));
    return pruned;
  };
  const Pruned pruned = run();
  const Keep last = choose_under_budget(pruned.groups, pruned.score, flops, budget);
  EXPECT_LE(flops(widths_of(last)), budget);
  const nn::Model small = shrink(pruned.model, pruned.groups, last);
  EXPECT_GT(nn::evaluate(small.spec, small.parameters, 50, test).accuracy(), 0.5);
  EXPECT_EQ(choose_last(run(), flops, budget), kept_of(pruned.keep, last));
}

}  // namespace
}  // namespace fdi::compress
