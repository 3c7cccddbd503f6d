// The schedules against PyTorch's curves (tests/fixtures/make_optimizer_fixtures.py), and their edges.
#include "nn/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace fdi::nn {
namespace {

constexpr double kRelative = 1e-9;  // both in double; PyTorch's cosine is a recurrence, ours the closed form

TEST(Schedule, FollowsPyTorchsCurves) {
  const auto all = nlohmann::json::parse(core::read_file(FDI_SOURCE_DIR "/tests/fixtures/optimizers.json"));
  ASSERT_GE(all["schedules"].size(), 6U);
  for (const nlohmann::json& wanted : all["schedules"]) {
    SCOPED_TRACE(wanted["config"].dump());
    const ScheduleConfig config = schedule_from_json(wanted["config"]);
    for (size_t step = 0; step < wanted["rates"].size(); ++step) {
      const Rates rates = rates_at(config, wanted["lr"], 0.9, static_cast<int64_t>(step), all["steps_per_epoch"],
                                   all["epochs"].get<int>());
      const double lr = wanted["rates"][step], momentum = wanted["momenta"][step];
      EXPECT_NEAR(rates.lr, lr, kRelative * 0.1) << "step " << step;
      EXPECT_NEAR(rates.momentum, momentum, kRelative) << "step " << step;
    }
  }
}

TEST(Schedule, ShortRunsStayFinite) {
  for (const char* kind : {"constant", "step", "cosine", "one-cycle"}) {
    ScheduleConfig config;
    config.kind = kind;
    for (int64_t steps = 1; steps <= 12; ++steps) {
      for (int64_t step = 0; step < steps; ++step) {
        const Rates rates = rates_at(config, 0.1, 0.9, step, steps, 1);
        EXPECT_TRUE(std::isfinite(rates.lr) && rates.lr > 0 && rates.lr <= 0.1) << kind << " " << step << "/" << steps;
      }
    }
  }
}

TEST(Schedule, WarmUpMayCoverTheWholeRun) {
  ScheduleConfig config;
  config.kind = "cosine";
  config.warm_up_epochs = 5;
  EXPECT_DOUBLE_EQ(rates_at(config, 0.1, 0.9, 0, 10, 1).lr, 0.1 / 11);
  EXPECT_DOUBLE_EQ(rates_at(config, 0.1, 0.9, 9, 10, 1).lr, 0.1 * 10 / 11);
}

TEST(Schedule, ConfigSurvivesJson) {
  for (const char* kind : {"constant", "step", "cosine", "one-cycle"}) {
    ScheduleConfig config;
    config.kind = kind;
    config.gamma = 0.5;
    config.cycle_momentum = true;
    const nlohmann::json json = schedule_to_json(config);
    EXPECT_EQ(schedule_to_json(schedule_from_json(json)), json);
  }
}

TEST(Schedule, RefusesBadSettings) {
  EXPECT_THROW(schedule_from_json({{"kind", "onecycle"}}), core::Error);
  EXPECT_THROW(schedule_from_json({{"kind", "one-cycle"}, {"warm_up_epochs", 1}}), core::Error);
  EXPECT_THROW(schedule_from_json({{"kind", "cosine"}, {"warm_up_epochs", -1}}), core::Error);
  EXPECT_THROW(schedule_from_json({{"kind", "step"}, {"step_epochs", 0}}), core::Error);
  EXPECT_THROW(schedule_from_json({{"kind", "one-cycle"}, {"pct_start", 1.5}}), core::Error);
  EXPECT_THROW(schedule_from_json({{"kind", "one-cycle"}, {"div_factor", 0}}), core::Error);
  for (const char* name : {"warm_up_epochs", "step_epochs", "gamma", "pct_start", "div_factor", "final_div_factor",
                           "base_momentum", "max_momentum"})
    for (const double value : {std::nan(""), -1.0, static_cast<double>(INFINITY)})
      EXPECT_THROW(schedule_from_json({{"kind", "step"}, {name, value}}), core::Error) << name << " " << value;
  for (const char* name : {"gamma", "base_momentum", "max_momentum"})
    EXPECT_THROW(schedule_from_json({{"kind", "step"}, {name, 1.5}}), core::Error) << name;
}

}  // namespace
}  // namespace fdi::nn
