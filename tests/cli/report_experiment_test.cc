// What stands for several runs of a report: means, the order of methods, seeds.
#include "cli/report_experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdi::cli {
namespace {

Run run_of(const std::string& name, std::optional<double> measured_ms, double predicted_ms, int64_t seed = 1) {
  Run run;
  run.name = run.method = name;
  run.recipe = "same";
  run.seed = seed;
  run.original.accuracy = run.result.accuracy = 0.75;
  run.original.measured_ms = 1;
  run.result.measured_ms = measured_ms;
  run.result.predicted_ms = predicted_ms;
  return run;
}

TEST(ReportExperiment, AMeanLacksWhatOneOfItsRunsLacks) {
  cli::Run with = run_of("a", 0.5, 0.25), without = run_of("a", 0.25, 0.75);
  without.result.accuracy.reset();
  for (const std::vector<const cli::Run*>& runs : {std::vector<const cli::Run*>{&without, &with}, {&with, &without}}) {
    const Design mean = mean_of(runs);
    EXPECT_FALSE(mean.accuracy.has_value());
    EXPECT_DOUBLE_EQ(mean.measured_ms.value(), 0.375);
    EXPECT_DOUBLE_EQ(mean.predicted_ms.value(), 0.5);
  }
}

// Measured ones first, whatever the times: a method's runs stand together, so that it has one column.
TEST(ReportExperiment, PredictedRunsAreAMethodOfTheirOwn) {
  const auto experiments =
      group_runs({run_of("a", 0.2, 0.2), run_of("a", {}, 0.3), run_of("a", 0.4, 0.4), run_of("a", {}, 0.1)});
  ASSERT_EQ(experiments.size(), 1U);
  std::vector<std::string> names, best;
  for (const cli::Run& run : experiments[0].runs) names.push_back(run.name);
  for (const cli::Run* run : best_runs(experiments[0])) best.push_back(run->name);
  EXPECT_THAT(names, testing::ElementsAre("a", "a", "a (predicted)", "a (predicted)"));
  EXPECT_THAT(best, testing::ElementsAre("a", "a (predicted)"));
}

TEST(ReportExperiment, ASeedCountsOnce) {
  const cli::Run one = run_of("a", 1, 1, 3), again = run_of("a", 1, 1, 3), other = run_of("a", 1, 1, 2);
  EXPECT_THAT(distinct_seeds({&one, &again, &other}), testing::ElementsAre(2, 3));
}

}  // namespace
}  // namespace fdi::cli
