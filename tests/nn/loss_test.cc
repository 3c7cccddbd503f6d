// Softmax cross-entropy by hand, its counts, and labels out of range.
#include "nn/loss.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/error.h"

namespace fdi::nn {
namespace {

TEST(SoftmaxLoss, ValueGradientAndCounts) {
  std::vector<float> logits{0, 0, 0, std::log(3.0F), 0, 0};
  const std::vector<int> labels{2, 0};
  std::vector<float> d(6);
  SoftmaxLoss loss(4, 3);
  const LossResult r = loss.evaluate({logits.data(), {2, 3}}, labels, d.data());
  EXPECT_NEAR(r.loss, (std::log(3.0) + std::log(5.0 / 3.0)) / 2, 1e-6);
  EXPECT_EQ(r.examples, 2);
  EXPECT_EQ(r.correct, 1) << "of equal logits the first wins, and the first example's label is the last";
  EXPECT_EQ(r.correct_top5, 2);
  EXPECT_THAT(d, ::testing::Pointwise(::testing::FloatNear(1e-6F),
                                      std::vector<float>{1 / 6.0F, 1 / 6.0F, -1 / 3.0F, -0.2F, 0.1F, 0.1F}));
}

TEST(SoftmaxLoss, TopFiveOfTen) {
  std::vector<float> logits{9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
  for (int label = 0; label < 10; ++label) {
    const LossResult r = SoftmaxLoss(1, 10).evaluate({logits.data(), {1, 10}}, std::vector<int>{label});
    EXPECT_EQ(r.correct, label == 0 ? 1 : 0);
    EXPECT_EQ(r.correct_top5, label < 5 ? 1 : 0);
  }
}

TEST(SoftmaxLoss, ADivergedNetworkIsNeverCorrect) {
  std::vector<float> logits(3, std::numeric_limits<float>::quiet_NaN());
  const LossResult r = SoftmaxLoss(1, 3).evaluate({logits.data(), {1, 3}}, std::vector<int>{0});
  EXPECT_EQ(r.correct, 0);
  EXPECT_TRUE(std::isnan(r.loss));
}

TEST(SoftmaxLoss, RefusesLabelsAndShapesThatDoNotFit) {
  std::vector<float> logits(6);
  SoftmaxLoss loss(2, 3);
  try {
    loss.evaluate({logits.data(), {2, 3}}, std::vector<int>{0, 3});
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("example 1 of the batch: label 3, want 0 to 2"));
  }
  EXPECT_THROW(loss.evaluate({logits.data(), {2, 3}}, std::vector<int>{-1, 0}), core::Error);
  EXPECT_THROW(loss.evaluate({logits.data(), {3, 2}}, std::vector<int>{0, 0, 0}), core::Error);
}

}  // namespace
}  // namespace fdi::nn
