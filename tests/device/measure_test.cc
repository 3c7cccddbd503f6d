// The stopwatch, on a clock that the test moves: no assertion here depends on how fast the machine is.
#include "device/measure.h"

#include <gtest/gtest.h>

#include <string>

#include "core/rng.h"

namespace fdi::device {
namespace {

struct FakeClock {
  double us = 0;
  Clock clock() {
    return [this] { return us; };
  }
};

TEST(Summarize, MedianMeanMinAndSpreadByHand) {
  const double readings[] = {10, 12, 11, 100, 9};
  const Timing t = summarize(readings);
  EXPECT_EQ(t.runs, 5);
  EXPECT_DOUBLE_EQ(t.median_us, 11);
  EXPECT_DOUBLE_EQ(t.min_us, 9);
  EXPECT_DOUBLE_EQ(t.mean_us, 28.4);
  EXPECT_DOUBLE_EQ(t.rel_mad, 1.0 / 11);  // deviations 0 1 1 2 89
}

TEST(Summarize, EvenCountTakesTheMiddleOfTheTwo) {
  const double readings[] = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(summarize(readings).median_us, 2.5);
  EXPECT_EQ(summarize({}).runs, 0);
}

// Against how much medians of many draws differ.
TEST(Summarize, TheErrorOfAMedian) {
  core::Rng rng(1, core::Stream::kTest);
  std::vector<double> medians, told;
  for (int draw = 0; draw < 2000; ++draw) {
    std::vector<double> readings;
    for (int i = 0; i < 51; ++i) readings.push_back(100 + 5 * rng.normal());
    const Timing t = summarize(readings);
    medians.push_back(t.median_us / 100);
    told.push_back(t.median_error());
  }
  double square = 0;
  for (const double m : medians) square += (m - 1) * (m - 1) / 2000;
  EXPECT_NEAR(median(told) / std::sqrt(square), 1, 0.1);
  EXPECT_EQ(summarize({}).median_error(), 0);
}

TEST(Measure, SteadyFunctionStopsAtTheMinimumOfRuns) {
  FakeClock fake;
  int calls = 0;
  const Timing t = measure(
      [&] {
        fake.us += 500;
        ++calls;
      },
      {.warm_up = 3, .min_runs = 20}, fake.clock());
  EXPECT_EQ(t.runs, 20);
  EXPECT_EQ(calls, 3 + 1 + 20);  // warm-up, one call to size a reading, the readings
  EXPECT_DOUBLE_EQ(t.median_us, 500);
  EXPECT_DOUBLE_EQ(t.rel_mad, 0);
}

TEST(Measure, ShortFunctionIsCalledSeveralTimesPerReading) {
  FakeClock fake;
  int calls = 0;
  const Timing t = measure(
      [&] {
        fake.us += 3;
        ++calls;
      },
      {.warm_up = 0, .min_runs = 10, .min_interval_us = 200}, fake.clock());
  EXPECT_DOUBLE_EQ(t.median_us, 3);
  EXPECT_EQ(calls, 255 + 10 * 67);  // 1 + 2 + ... + 128 = 255 to find out that 67 calls last 200 us
}

TEST(Measure, UnsteadyFunctionEndsAtTheCapOfRunsOrOfTime) {
  FakeClock fake;
  int call = 0;
  const auto unsteady = [&] { fake.us += 1000 * (1 + call++ % 3); };
  EXPECT_EQ(measure(unsteady, {.max_runs = 50, .max_seconds = 1e9}, fake.clock()).runs, 50);
  call = 0;
  const Timing t = measure(unsteady, {.max_seconds = 0.1}, fake.clock());  // 0.1 s: 50 runs of 2000 us on average
  EXPECT_EQ(t.runs, 50);
  EXPECT_DOUBLE_EQ(t.median_us, 2000);
  EXPECT_DOUBLE_EQ(t.rel_mad, 0.5);
}

TEST(Measure, MinimumOfRunsIsTakenEvenPastTheTime) {
  FakeClock fake;
  EXPECT_EQ(measure([&] { fake.us += 1e6; }, {.min_runs = 7, .max_seconds = 0.5}, fake.clock()).runs, 7);
}

TEST(Measure, FunctionThatTakesNoTimeEnds) {
  FakeClock fake;
  const Timing t = measure([] {}, {.min_runs = 2}, fake.clock());
  EXPECT_EQ(t.median_us, 0);
  EXPECT_EQ(t.rel_mad, 0);
}

TEST(MeasureInterleaved, ContendersTakeTurns) {
  FakeClock fake;
  std::string order;
  const std::function<void()> runs[] = {[&] {
                                          fake.us += 400;
                                          order += 'a';
                                        },
                                        [&] {
                                          fake.us += 800;
                                          order += 'b';
                                        }};
  const auto timings = measure_interleaved(runs, {.warm_up = 0, .min_runs = 3}, fake.clock());
  EXPECT_EQ(order,
            "ab"
            "ababab");  // sized once each, then in turn
  EXPECT_DOUBLE_EQ(timings[0].median_us, 400);
  EXPECT_DOUBLE_EQ(timings[1].median_us, 800);
}

// Each part by itself, without what is marked untimed; rounds until the whole is steady, the cap, or the time is up.
TEST(MeasureLaps, PartsAddUpAndTheSpreadDecides) {
  FakeClock fake;
  int rounds = 0;
  double wobble = 0;  // no round is like the one before
  const auto round = [&](const Lap& lap) {
    fake.us += 1000;  // preparing
    lap(kUntimed);
    fake.us += 10 + wobble * (rounds % 3);
    lap(0);
    fake.us += 30;
    lap(1);
    fake.us += 500;
    lap(kUntimed);
    fake.us += 5;
    lap(0);  // a part in two pieces
    ++rounds;
  };
  const auto laps = [&](const MeasureOptions& options) {
    rounds = 0;
    return measure_laps(round, 2, options, fake.clock());
  };
  const Laps steady = laps({.warm_up = 2, .min_runs = 3, .max_runs = 50});
  EXPECT_EQ(rounds, 2 + 3);
  EXPECT_DOUBLE_EQ(steady.parts[0].median_us, 15);
  EXPECT_DOUBLE_EQ(steady.parts[1].median_us, 30);
  EXPECT_DOUBLE_EQ(steady.total.median_us, 45);
  wobble = 20;
  EXPECT_EQ(laps({.warm_up = 0, .min_runs = 3, .max_runs = 50}).total.runs, 50);
  EXPECT_EQ(laps({.warm_up = 0, .min_runs = 3, .max_runs = 50, .target_rel_mad = 0.5}).total.runs, 3);
  EXPECT_EQ(laps({.warm_up = 0, .min_runs = 3, .max_runs = 50, .max_seconds = 0.01}).total.runs, 7);  // of 1.5 ms
}

TEST(Measure, RealClockOnlyMovesForward) {
  const double before = steady_clock_us();
  EXPECT_GE(steady_clock_us(), before);
}

}  // namespace
}  // namespace fdi::device
