// The optimizers against PyTorch's own steps (tests/fixtures/make_optimizer_fixtures.py), and their bad settings.
#include "nn/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/rng.h"
#include "core/threads.h"

namespace fdi::nn {
namespace {

// PyTorch contracts a * b + c to one rounding where the machine can; ours rounds twice: a few units in the last place.
constexpr float kRounding = 2e-6F;

nlohmann::json fixture() {
  return nlohmann::json::parse(core::read_file(FDI_SOURCE_DIR "/tests/fixtures/optimizers.json"));
}

TEST(Optimizer, TakesPyTorchsSteps) {
  const nlohmann::json all = fixture();
  ASSERT_GE(all["optimizers"].size(), 7U);
  for (const nlohmann::json& wanted : all["optimizers"]) {
    SCOPED_TRACE(wanted["config"].dump());
    const OptimizerConfig config = optimizer_from_json(wanted["config"]);
    auto weight = all["start"].get<std::vector<float>>();
    Optimizer optimizer(config, static_cast<int64_t>(weight.size()));
    for (size_t step = 0; step < wanted["after"].size(); ++step) {
      const auto grad = all["grads"][step].get<std::vector<float>>();
      optimizer.step(weight, grad, wanted["lr"], optimizer.momentum());
      const auto after = wanted["after"][step].get<std::vector<float>>();
      EXPECT_THAT(weight, ::testing::Pointwise(::testing::FloatNear(kRounding), after)) << "step " << step;
    }
    EXPECT_EQ(optimizer.steps(), static_cast<int64_t>(wanted["after"].size()));
  }
}

TEST(Optimizer, ConfigSurvivesJson) {
  for (const char* kind : {"sgd", "adam", "rmsprop"}) {
    OptimizerConfig config = default_optimizer(kind);
    config.weight_decay = 0.25;
    const nlohmann::json json = optimizer_to_json(config);
    EXPECT_EQ(optimizer_to_json(optimizer_from_json(json)), json);
    EXPECT_EQ(json["weight_decay"], 0.25);
  }
}

// One run in two halves, the state carried over, equals the run in one go; whatever the number of threads.
TEST(Optimizer, StateContinuesToTheSameNumbers) {
  constexpr int kSize = 1001, kSteps = 6;
  const int before = core::threads();
  for (const char* kind : {"sgd", "adam", "rmsprop"}) {
    const auto run = [&](int threads, int break_at) {
      core::set_threads(threads);
      core::Rng rng(7, core::Stream::kTest);
      std::vector<float> weight(kSize), grad(kSize);
      for (float& w : weight) w = rng.normal();
      auto optimizer = std::make_unique<Optimizer>(default_optimizer(kind), kSize);
      for (int step = 0; step < kSteps; ++step) {
        if (step == break_at) {
          auto next = std::make_unique<Optimizer>(default_optimizer(kind), kSize);
          auto from = optimizer->state(), to = next->state();
          for (size_t i = 0; i < from.size(); ++i)
            std::copy(from[i].values.begin(), from[i].values.end(), to[i].values.begin());
          next->set_steps(optimizer->steps());
          optimizer = std::move(next);
        }
        for (float& g : grad) g = rng.normal();
        optimizer->step(weight, grad, 0.01, optimizer->momentum());
      }
      return weight;
    };
    const std::vector<float> straight = run(1, -1);
    EXPECT_EQ(straight, run(1, 3)) << kind;
    EXPECT_EQ(straight, run(2, -1)) << kind;
    EXPECT_EQ(straight, run(3, 2)) << kind;
  }
  core::set_threads(before);
}

TEST(Optimizer, RefusesBadSettings) {
  EXPECT_THROW(default_optimizer("sdg"), core::Error);
  const auto refused = [](auto change) {
    OptimizerConfig config;
    change(config);
    EXPECT_THROW(Optimizer(config, 1), core::Error);
  };
  refused([](OptimizerConfig& c) { c.momentum = 1; });
  refused([](OptimizerConfig& c) { c.momentum = -0.1; });
  refused([](OptimizerConfig& c) { c.weight_decay = -1; });
  refused([](OptimizerConfig& c) { c.epsilon = 0; });
  refused([](OptimizerConfig& c) { c.beta2 = 1; });
  refused([](OptimizerConfig& c) { c.kind = ""; });
}

}  // namespace
}  // namespace fdi::nn
