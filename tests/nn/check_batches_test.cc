// A batch norm learns from two values per channel or more: said before training, with the layer and what to do.
#include "nn/check_batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "nn/builder.h"
#include "nn/trainer.h"
#include "tests/nn/array_source.h"

namespace fdi::nn {
namespace {

NetworkSpec norm_behind_fc() {
  SpecBuilder b("behind_fc", {4, 4, 1});
  b.add(Op::kFlatten, "flat");
  b.add(Op::kFc, "fc1", {.units = 6});
  b.add(Op::kBatchNorm, "bn1");
  b.add(Op::kRelu, "relu");
  b.add(Op::kFc, "fc2", {.units = 3});
  return b.take();
}

NetworkSpec norm_of_maps() {
  SpecBuilder b("maps", {4, 4, 1});
  b.add(Op::kConv2d, "conv", {.units = 6, .kernel = {3, 3}});
  b.add(Op::kBatchNorm, "bn1");
  b.add(Op::kFlatten, "flat");
  b.add(Op::kFc, "fc", {.units = 3});
  return b.take();
}

std::string refusal(const NetworkSpec& spec, int64_t examples, int batch) {
  try {
    check_batches(spec, examples, batch, "--batch");
  } catch (const core::Error& e) {
    return e.what();
  }
  return "";
}

TEST(CheckBatches, OneValuePerChannelIsRefused) {
  const NetworkSpec spec = norm_behind_fc();
  EXPECT_EQ(refusal(spec, 90, 1),
            "[batch_norm bn1] wants more than one value per channel in training, but with --batch 1 it gets one; take "
            "another batch size, e.g. --batch 32");
  EXPECT_EQ(refusal(spec, 97, 96),
            "[batch_norm bn1] wants more than one value per channel in training, but with --batch 96 the last batch of "
            "97 examples holds one; take another batch size, e.g. --batch 95");
  EXPECT_EQ(refusal(spec, 1, 8),
            "[batch_norm bn1] cannot learn from one example: it wants more than one value per channel");
  EXPECT_THAT(refusal(spec, 3, 2), ::testing::EndsWith("e.g. --batch 3")) << "one would be worse";
  EXPECT_THAT(refusal(spec, 97, 1), ::testing::EndsWith("e.g. --batch 31")) << "97 is 3 times 32 and one";
}

TEST(CheckBatches, TwoValuesAreEnough) {
  const NetworkSpec spec = norm_behind_fc();
  for (const auto& [examples, batch] : {std::pair{2, 2}, {2, 100}, {97, 95}, {96, 96}, {98, 96}})
    EXPECT_EQ(refusal(spec, examples, batch), "") << examples << " by " << batch;
  EXPECT_EQ(refusal(norm_of_maps(), 97, 1), "") << "every pixel is a value";
  EXPECT_EQ(refusal(small_network(), 97, 1), "") << "there is no batch norm";
}

// check_resumable() refuses another batch size.
TEST(CheckBatches, AResumedRunIsToldToStartANewOne) {
  EXPECT_THAT([] { check_batches(norm_behind_fc(), 97, 96, "--batch", true); },
              ::testing::ThrowsMessage<core::Error>(::testing::EndsWith(
                  "of 97 examples holds one; start a new run in another folder, e.g. with --batch 95")));
}

TEST(CheckBatches, AFinishedRunIsNotChecked) {
  TrainConfig config;
  config.batch = 32;
  config.epochs = 2;
  TrainState state(norm_behind_fc(), config);
  ArraySource train(65, state.spec.input, 3, config.batch, true);
  state.history.resize(1);
  EXPECT_FALSE(state.finished());
  EXPECT_THAT([&] { Trainer(state, {}).run(train, nullptr); },
              ::testing::ThrowsMessage<core::Error>(::testing::HasSubstr("start a new run in another folder")));
  state.history.resize(2);
  EXPECT_TRUE(state.finished());
  EXPECT_NO_THROW(Trainer(state, {}).run(train, nullptr));
  EXPECT_EQ(train.passes(), 0);
}

TEST(CheckBatches, TheTrainerAsksBeforeItBegins) {
  const NetworkSpec spec = norm_behind_fc();
  TrainConfig config;
  config.batch = 32;
  config.epochs = 1;
  TrainState state(spec, config);
  ArraySource train(65, spec.input, 3, config.batch, true);
  EXPECT_THAT(
      [&] { Trainer(state, {}).run(train, nullptr); },
      ::testing::ThrowsMessage<core::Error>(::testing::HasSubstr("[batch_norm bn1] wants more than one value")));
  EXPECT_EQ(train.passes(), 0);
  ArraySource even(64, spec.input, 3, config.batch, true);
  Trainer(state, {}).run(even, nullptr);
  EXPECT_EQ(state.history.size(), 1U);
}

}  // namespace
}  // namespace fdi::nn
