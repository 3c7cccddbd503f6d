// Trainer on a small problem: it learns, draws the recorded losses, stops early, keeps the best, and says when it
// fails.
#include "nn/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>
#include <thread>

#include "core/error.h"
#include "core/threads.h"
#include "kernels/isa.h"
#include "nn/evaluate.h"
#include "tests/nn/array_source.h"

namespace fdi::nn {
namespace {

constexpr int kTrainerClasses = 10, kTrainerBatch = 32, kExamples = 200;  // 200: the last batch is a partial one

TrainConfig small_config() {
  TrainConfig config;
  config.epochs = 3;
  config.batch = kTrainerBatch;
  config.lr = 0.01;
  return config;
}

ArraySource train_source(const NetworkSpec& spec) {
  return {kExamples, spec.input, kTrainerClasses, kTrainerBatch, true};
}
ArraySource other_source(const NetworkSpec& spec) {
  return {100, spec.input, kTrainerClasses, kTrainerBatch, false, 4};
}

std::vector<double> losses(const std::string& isa, int threads, int steps) {
  const std::string isa_before = kernels::isa();
  const int threads_before = core::threads();
  kernels::set_isa(isa);
  core::set_threads(threads);
  std::vector<double> seen;
  {
    const NetworkSpec spec = small_network();
    TrainState state(spec, small_config());
    ArraySource train = train_source(spec);
    struct Enough {};
    TrainOptions options;
    options.on_step = [&](int64_t, double loss) {
      seen.push_back(loss);
      if (static_cast<int>(seen.size()) == steps) throw Enough();
    };
    try {
      Trainer(state, options).run(train, nullptr);
    } catch (const Enough&) {
    }
  }
  kernels::set_isa(isa_before);
  core::set_threads(threads_before);
  return seen;
}

TEST(Trainer, Learns) {
  const NetworkSpec spec = small_network();
  TrainConfig config = small_config();
  config.epochs = 6;
  TrainState state(spec, config);
  ArraySource train = train_source(spec), test = other_source(spec);
  Trainer(state, {}).run(train, nullptr);
  ASSERT_EQ(state.history.size(), 6U);
  EXPECT_LT(state.history.back().loss, 0.3 * state.history.front().loss);
  EXPECT_EQ(state.optimizer.steps(), 6 * train.batches());
  const Evaluation e = evaluate(spec, state.parameters, kTrainerBatch, test);
  EXPECT_GT(e.accuracy(), 0.8);
  EXPECT_EQ(e.examples, 100);
  int64_t all = 0, diagonal = 0;
  for (int t = 0; t < kTrainerClasses; ++t)
    for (int p = 0; p < kTrainerClasses; ++p) all += e.count(t, p), diagonal += t == p ? e.count(t, p) : 0;
  EXPECT_EQ(all, 100);
  EXPECT_EQ(diagonal, e.correct);
}

TEST(Trainer, EvaluationDoesNotDependOnTheBatch) {
  const NetworkSpec spec = small_network();
  TrainState state(spec, small_config());
  ArraySource test = other_source(spec);
  const Evaluation a = evaluate(spec, state.parameters, kTrainerBatch, test);
  ArraySource one_by_one(100, spec.input, kTrainerClasses, 1, false, 4);
  const Evaluation b = evaluate(spec, state.parameters, 1, one_by_one);
  EXPECT_EQ(a.confusion, b.confusion);
  EXPECT_NEAR(a.loss, b.loss, 1e-5);
}

TEST(Trainer, TheDiagonalOfTheConfusionIsWhatWasCorrect) {
  const NetworkSpec spec = small_network();
  TrainState state(spec, small_config());
  ArraySource test = other_source(spec);
  const Tensor bias = state.parameters.tensor(*state.parameters.find("fc3.bias"));
  const auto expect_diagonal = [&](int64_t counted) {
    const Evaluation e = evaluate(spec, state.parameters, kTrainerBatch, test);
    int64_t all = 0, diagonal = 0;
    for (int t = 0; t < kTrainerClasses; ++t)
      for (int p = 0; p < kTrainerClasses; ++p) all += e.count(t, p), diagonal += t == p ? e.count(t, p) : 0;
    EXPECT_EQ(diagonal, e.correct);
    EXPECT_EQ(all, counted);
    EXPECT_FALSE(std::signbit(e.loss));
  };
  bias.data[0] = -NAN;  // class 0 is never the answer
  expect_diagonal(100);
  std::fill_n(bias.data, kTrainerClasses, -NAN);
  expect_diagonal(0);
}

TEST(Trainer, BestEpochIsKeptAndPatienceEndsTheRun) {
  const NetworkSpec spec = small_network();
  TrainConfig config = small_config();
  config.epochs = 40;
  config.patience = 2;
  config.schedule.kind = "constant";
  TrainState state(spec, config);
  ArraySource train = train_source(spec), validation = other_source(spec);
  Trainer(state, {}).run(train, &validation);
  ASSERT_LT(state.history.size(), 40U) << "validation accuracy cannot rise 20 times on 100 images without 2 pauses";
  EXPECT_EQ(static_cast<int>(state.history.size()), state.best_epoch + 2);
  double best = 0;
  int first_best = 0;
  for (const EpochRecord& r : state.history)
    if (*r.validation_accuracy > best) best = *r.validation_accuracy, first_best = r.epoch;
  EXPECT_EQ(state.best_epoch, first_best);
  const auto all = state.parameters.all();
  EXPECT_TRUE(std::equal(all.begin(), all.end(), state.best.begin(), state.best.end()));
  ArraySource again = other_source(spec);
  EXPECT_DOUBLE_EQ(evaluate(spec, state.parameters, kTrainerBatch, again).accuracy(), best);
}

// A validation pass that takes 0.6 s: after the first of three epochs, the two to come take 1.2 s at least.
TEST(Trainer, TheTimeLeftCountsValidation) {
  struct SlowSource : ArraySource {
    using ArraySource::ArraySource;
    void start(int epoch) override {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
      ArraySource::start(epoch);
    }
  };
  const NetworkSpec spec = small_network();
  TrainState state(spec, small_config());
  ArraySource train(kTrainerBatch, spec.input, kTrainerClasses, kTrainerBatch, true);
  SlowSource validation(kTrainerBatch, spec.input, kTrainerClasses, kTrainerBatch, false, 4);
  core::Progress progress;
  TrainOptions options;
  options.progress = &progress;
  ::testing::internal::CaptureStderr();
  Trainer(state, options).run(train, &validation);
  const std::string text = ::testing::internal::GetCapturedStderr();
  const std::string first = text.substr(0, text.find('\n'));
  EXPECT_THAT(first, ::testing::HasSubstr("epoch 1/3"));
  EXPECT_THAT(first, ::testing::Not(::testing::EndsWith(" 0 s left")));
}

TEST(Trainer, LossThatIsNoNumberStopsTheRun) {
  const NetworkSpec spec = small_network();
  TrainConfig config = small_config();
  config.lr = 1e25;
  TrainState state(spec, config);
  ArraySource train = train_source(spec);
  int steps = 0;
  TrainOptions options;
  options.on_step = [&](int64_t, double loss) {
    EXPECT_TRUE(std::isfinite(loss));
    ++steps;
  };
  std::string message;
  try {
    Trainer(state, options).run(train, nullptr);
  } catch (const core::Error& e) {
    message = e.what();
  }
  EXPECT_LT(steps, train.batches()) << "the first update ruins the weights";
  EXPECT_THAT(message, ::testing::HasSubstr(fmt::format("epoch 1, step {}: the loss became ", steps + 1)));
  EXPECT_THAT(message, ::testing::HasSubstr("lower --lr"));
}

// What this recipe gave when it was recorded (the same on every ISA). A change here is a change of the numbers of every
// run: of a formula, of a random stream, of the order of the data.
TEST(Trainer, DrawsTheRecordedLosses) {
  const std::vector<double> recorded = {3.28880, 3.24651, 2.69764, 2.46815, 2.06014};
  // ISAs sum in another order; five steps were 6e-7 apart at most when recorded.
  constexpr double kTolerance = 2e-5;
  for (const std::string& isa : kernels::available_isas()) {
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(fmt::format("{}, {} threads", isa, threads));
      EXPECT_THAT(losses(isa, threads, 5), ::testing::Pointwise(::testing::DoubleNear(kTolerance), recorded));
    }
  }
}

// Sums are taken in a fixed order whatever the number of threads.
TEST(Trainer, LossesDoNotDependOnThreads) { EXPECT_EQ(losses("auto", 1, 10), losses("auto", 2, 10)); }

TEST(Trainer, ConfigSurvivesJsonAndNamesDifferences) {
  TrainConfig config = small_config();
  config.data = {{"name", "synthetic"}, {"augment", true}};
  EXPECT_EQ(config_to_json(config_from_json(config_to_json(config))), config_to_json(config));
  EXPECT_EQ(config_difference(config, config), "");
  TrainConfig other = config;
  other.lr = 0.05;
  other.data["augment"] = false;
  EXPECT_EQ(config_difference(other, config), "data.augment is false, was true; lr is 0.05, was 0.01");
  other = config;
  other.optimizer = default_optimizer("adam");
  EXPECT_THAT(config_difference(other, config), ::testing::HasSubstr("optimizer.kind is \"adam\", was \"sgd\""));
  for (const char* bad :
       {R"({"epochs": 0})", R"({"batch": 0})", R"({"lr": 0})", R"({"lr": -1})", R"({"patience": -1})"})
    EXPECT_THROW(config_from_json(nlohmann::json::parse(bad)), core::Error) << bad;
}

}  // namespace
}  // namespace fdi::nn
