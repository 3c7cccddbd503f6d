// What the critic's backward pass says of its masks, against differences; and what the compressor makes of it.
#include <gtest/gtest.h>

#include <cmath>

#include "compress/search.h"
#include "core/rng.h"
#include "nn/zoo.h"
#include "tests/nn/deepsense_like.h"

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
      const float kept = masks[i];
      masks[i] = kept + kStep;
      const double above = loss();
      masks[i] = kept - kStep;
      const double below = loss();
      masks[i] = kept;
      EXPECT_NEAR(slopes[i], (above - below) / (2 * kStep), 0.05 * largest) << spec.name << " " << i;
    }
    EXPECT_EQ(critic.any_recurrent(), spec.name != "lenet" && spec.name != "resnet20");
  }
}

// Of a loss a z + b z^2 the slopes at both ends average to what the unit adds: a + b.
TEST(PathGradient, IsWhatAUnitAddsToAQuadraticLoss) {
  constexpr int kExamples = 20000;
  const std::vector<float> q{0.25F, 0.9F};
  const std::vector<double> a{-3, 2}, b{1, -0.5};
  const auto masks = draw_masks(q, kExamples, 1, 0);
  std::vector<float> slopes;
  for (size_t i = 0; i < masks.size(); ++i)
    slopes.push_back(static_cast<float>((a[i % 2] + 2 * b[i % 2] * double{masks[i]}) / kExamples));
  const auto gradient = path_gradient(masks, q, slopes);
  EXPECT_NEAR(gradient[0], -2, 0.08);
  EXPECT_NEAR(gradient[1], 1.5, 0.08);
}

// An end that is hardly ever drawn does not weigh without bound.
TEST(PathGradient, IsBoundedAtTheEnds) {
  const std::vector<float> q{1, 0}, masks{0, 1}, slopes{1, 1};
  for (const double g : path_gradient(masks, q, slopes)) EXPECT_NEAR(g, 10, 1e-9);
}

}  // namespace
}  // namespace fdi::compress
