// What the critic's backward pass says of its masks, against differences; and what the compressor makes of it.
#include <gtest/gtest.h>

#include <cmath>

#include "compress/search.h"
#include "core/rng.h"
#include "nn/builder.h"
#include "nn/zoo.h"
#include "tests/nn/deepsense_like.h"
#include "tests/nn/gradient_check.h"

namespace fdi::compress {
namespace {

TEST(MaskedCritic, SlopesAtTheMasksAgainstDifferences) {
  for (const nn::NetworkSpec& spec :
       {nn::make_zoo("lenet"), nn::make_zoo("resnet20", {.width = 0.25}), nn::deepsense_like(true)}) {
    const nn::UnitGroups groups = nn::unit_groups(spec);
    nn::Parameters parameters(spec);
    parameters.initialize(3);
    constexpr int kBatch = 2;
    MaskedCritic critic(spec, parameters, kBatch);
    std::vector<float> images(static_cast<size_t>(kBatch * spec.input.size()));
    core::Rng rng(4, core::Stream::kTest);
    for (float& x : images) x = rng.normal();
    const std::vector<int> labels{1, 2};
    auto masks = draw_masks(std::vector<float>(static_cast<size_t>(groups.units()), 0.7F), kBatch, 1, 0);
    const auto loss = [&] { return critic.forward(masks, images.data(), labels, {}, true, 1, 0).loss; };
    loss();
    critic.backward(true);
    const std::vector<float> slopes(critic.mask_slopes().begin(), critic.mask_slopes().end());
    double largest = 0;
    for (const float s : slopes) largest = std::max(largest, std::abs(double{s}));
    ASSERT_GT(largest, 0);
    constexpr float kStep = 0.004F;
    for (size_t i = 0; i < masks.size(); i += 1 + masks.size() / 60) {
      const int unit = static_cast<int>(i % static_cast<size_t>(groups.units()));
      if (critic.recurrent(unit)) {
        EXPECT_EQ(slopes[i], 0);
        continue;
      }
      const double slope = nn::central_difference(masks[i], kStep, loss);
      EXPECT_NEAR(slopes[i], slope, 0.05 * largest) << spec.name << " " << i;
    }
    EXPECT_EQ(critic.any_recurrent(), spec.name != "lenet" && spec.name != "resnet20");
  }
}

// Batch norm's statistics hand a part of a mask's effect on to the other examples of the batch. The rest, the example's
// own, is by far the larger one: that is what slope_gradient takes a slope for.
TEST(MaskedCritic, SlopesAreNearlyThoseOfTheExamplesOwnLoss) {
  nn::SpecBuilder b("norms", {8, 8, 3});
  for (const char* n : {"1", "2", "3"}) {
    b.add(nn::Op::kConv2d, std::string("conv") + n, {.units = 8, .kernel = {3, 3}});
    b.add(nn::Op::kBatchNorm, std::string("bn") + n);
    b.add(nn::Op::kRelu, std::string("relu") + n);
  }
  b.add(nn::Op::kGlobalAvgPool, "pool");
  b.add(nn::Op::kFc, "fc", {.units = 5});
  const nn::NetworkSpec spec = b.take();
  nn::Parameters parameters(spec);
  parameters.initialize(3);
  constexpr int kBatch = 32;
  const auto units = static_cast<size_t>(nn::unit_groups(spec).units());
  MaskedCritic critic(spec, parameters, kBatch);
  std::vector<float> images(static_cast<size_t>(kBatch * spec.input.size()));
  core::Rng rng(4, core::Stream::kTest);
  for (float& x : images) x = rng.normal();
  std::vector<int> labels;
  for (int i = 0; i < kBatch; ++i) labels.push_back(i % 5);
  auto masks = draw_masks(std::vector<float>(units, 0.8F), kBatch, 1, 0);
  const auto run = [&] { critic.forward(masks, images.data(), labels, {}, true, 1, 0); };
  run();
  critic.backward(true);
  const std::vector<float> slopes(critic.mask_slopes().begin(), critic.mask_slopes().end());
  double both = 0, own_square = 0, slope_square = 0;
  for (size_t i = 0; i < masks.size(); i += 13) {
    const double own = nn::central_difference(masks[i], 0.02F, [&] {
      run();
      return critic.losses()[i / units];
    });
    const double slope = kBatch * double{slopes[i]};
    both += own * slope;
    own_square += own * own;
    slope_square += slope * slope;
  }
  EXPECT_GT(both / std::sqrt(own_square * slope_square), 0.95);
}

// A unit's logit z w of an example with label +1 or -1, drawn from the model itself: what leaving the unit out adds to
// the logistic loss is log 2 - H, and the second order about z = 1 comes near while w is small.
TEST(SlopeGradient, IsWhatAUnitAddsToALogisticLoss) {
  constexpr int kExamples = 400000;
  core::Rng rng(5, core::Stream::kTest);
  const std::vector<double> w{0.3, 0.6};
  const std::vector<float> masks(size_t{2} * kExamples, 1.0F);
  std::vector<float> slopes;
  for (size_t i = 0; i < masks.size(); ++i) {
    const double right = 1 / (1 + std::exp(-w[i % 2]));
    const double label = rng.uniform(0.0F, 1.0F) < right ? 1 : -1;
    slopes.push_back(static_cast<float>(-w[i % 2] * label / (1 + std::exp(w[i % 2] * label)) / kExamples));
  }
  const auto gradient = slope_gradient(masks, slopes, 2);
  for (size_t u = 0; u < 2; ++u) {
    const double right = 1 / (1 + std::exp(-w[u]));
    const double entropy = -right * std::log(right) - (1 - right) * std::log(1 - right);
    EXPECT_NEAR(gradient[u], entropy - std::log(2.0), 0.15 * (std::log(2.0) - entropy)) << u;
  }
}

TEST(SlopeGradient, ByHand) {
  const std::vector<float> masks{0, 1, 0, 1}, slopes{3, 0.5F, -2, 0};  // of the examples' own losses: 6, 1, -4, 0
  EXPECT_EQ(slope_gradient(masks, slopes, 2), (std::vector<double>{(3.0 - 2) / 2, (1 - 0.5) / 2}));
}

}  // namespace
}  // namespace fdi::compress
