// Distillation: the loss in closed form, its gradient by finite differences, a student that has nothing but its
// teacher.
#include "nn/distill.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "nn/evaluate.h"
#include "nn/loss.h"
#include "nn/model_file.h"
#include "nn/trainer.h"
#include "tests/nn/array_source.h"

namespace fdi::nn {
namespace {

constexpr int kLessonClasses = 10, kLessonBatch = 32;

core::ConstTensor view(const std::vector<float>& logits, int classes) {
  return {logits.data(), {static_cast<int>(logits.size()) / classes, classes}};
}

TEST(Distillation, TwoClassesByHand) {
  // Softened by 2, the teacher says (3/4, 1/4), the student (1/2, 1/2).
  const std::vector<float> teacher{2 * std::log(3.0F), 0}, student{5, 5};
  std::vector<float> d{0.5F, -0.5F};
  const double kl = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  EXPECT_NEAR(mix_distillation({.weight = 0.25, .temperature = 2}, view(teacher, 2), view(student, 2), 0.8, d.data()),
              0.75 * 0.8 + 0.25 * 4 * kl, 1e-7);
  EXPECT_FLOAT_EQ(d[0], 0.75F * 0.5F + 0.25F * 2 * (0.5F - 0.75F));
  EXPECT_FLOAT_EQ(d[1], -d[0]);
}

TEST(Distillation, WhoAgreesHasNothingToLearn) {
  const std::vector<float> teacher{1, 2, 3, -4, 0, 100}, student{11, 12, 13, -4, 0, 100};  // up to a constant
  std::vector<float> d(6, 1.0F);
  EXPECT_NEAR(mix_distillation({.weight = 1, .temperature = 3}, view(teacher, 3), view(student, 3), 7, d.data()), 0,
              1e-12);
  for (const float v : d) EXPECT_NEAR(v, 0, 1e-7);
}

TEST(Distillation, GradientIsThatOfTheLoss) {
  constexpr int kExamples = 3;
  core::Rng rng(1, core::Stream::kTest);
  std::vector<float> teacher(kExamples * kLessonClasses), student(teacher.size());
  for (float& v : teacher) v = 3 * rng.normal();
  for (float& v : student) v = 3 * rng.normal();
  const std::vector<int> labels{0, 9, 4};
  SoftmaxLoss cross_entropy(kExamples, kLessonClasses);
  for (const DistillConfig& config : {DistillConfig{1, 1}, DistillConfig{1, 5}, DistillConfig{0.4, 3}}) {
    std::vector<float> d(student.size()), unused(student.size());
    const auto loss = [&](float* gradient) {
      core::Tensor logits{student.data(), {kExamples, kLessonClasses}};
      const double ce = cross_entropy.evaluate(logits, labels, gradient).loss;
      return mix_distillation(config, view(teacher, kLessonClasses), view(student, kLessonClasses), ce, gradient);
    };
    loss(d.data());
    constexpr float kStep = 1.0F / 64;   // exact in float beside logits of some units
    constexpr double kTolerance = 2e-5;  // float cross entropies over 2 kStep, and the third derivative
    for (size_t i = 0; i < student.size(); ++i) {
      const float at = student[i];
      student[i] = at + kStep;
      const double above = loss(unused.data());
      student[i] = at - kStep;
      const double below = loss(unused.data());
      student[i] = at;
      EXPECT_NEAR(d[i], (above - below) / (2 * kStep), kTolerance) << "logit " << i << ", T " << config.temperature;
    }
  }
}

// Every label is wrong: what the student knows at the end it has from its teacher.
TEST(Distillation, AStudentLearnsWithoutLabels) {
  struct WrongLabels : ArraySource {
    using ArraySource::ArraySource;
    bool next(Batch& batch) override {
      if (!ArraySource::next(batch)) return false;
      labels_.assign(batch.labels.begin(), batch.labels.end());
      for (int& label : labels_) label = (label + 1) % kLessonClasses;
      batch.labels = labels_;
      return true;
    }
    std::vector<int> labels_;
  };
  TrainConfig config;
  config.epochs = 6;
  config.batch = kLessonBatch;
  config.lr = 0.01;
  TrainState taught(small_network(), config);
  ArraySource train(200, taught.spec.input, kLessonClasses, kLessonBatch, true);
  Trainer(taught, {}).run(train, nullptr);
  const Model teacher{taught.spec, std::move(taught.parameters), {}};

  config.seed = 2;
  config.distill = {.weight = 1, .temperature = 2};
  TrainState learning(small_network(), config);
  WrongLabels wrong(200, learning.spec.input, kLessonClasses, kLessonBatch, true);
  Trainer(learning, {.checkpoint = {}, .on_step = {}, .teacher = &teacher}).run(wrong, nullptr);
  ArraySource test(100, teacher.spec.input, kLessonClasses, kLessonBatch, false, 4);
  EXPECT_GT(evaluate(teacher.spec, teacher.parameters, kLessonBatch, test).accuracy(), 0.8);
  EXPECT_GT(evaluate(learning.spec, learning.parameters, kLessonBatch, test).accuracy(), 0.8);
}

TEST(Distillation, RefusesWhatCannotBe) {
  const NetworkSpec spec = small_network();
  const Model teacher{spec, Parameters(spec), {}};
  try {
    Teacher({}, teacher, kLessonBatch, {7});
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("has outputs (10), the one that learns (7)"));
  }
  for (const DistillConfig& config : {DistillConfig{-0.1, 4}, DistillConfig{1.1, 4}, DistillConfig{NAN, 4},
                                      DistillConfig{0.5, 0}, DistillConfig{0.5, INFINITY}}) {
    TrainConfig train;
    train.distill = config;
    EXPECT_THROW(config_from_json(config_to_json(train)), core::Error) << config.weight << " " << config.temperature;
  }
}

}  // namespace
}  // namespace fdi::nn
