// Campaigns on a made-up device.
#include "profile/campaign.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "tests/profile/fake_device.h"

namespace fdi::profile {
namespace {

constexpr int kPasses = 3;  // which the counts below are made for

CampaignOptions options(FakeDevice& fake, int passes = kPasses) {
  CampaignOptions options{.passes = passes};
  options.seconds = [&fake] { return fake.now; };
  return options;
}

TEST(Campaign, EveryJobInEveryPassInOrdersOfTheirOwn) {
  FakeDevice fake;
  const auto jobs = layers(30);
  int kept = 0;
  CampaignProgress last;
  CampaignOptions options{.passes = kPasses};
  options.keep = [&](const PassReading&) { ++kept; };
  options.progress = [&](const CampaignProgress& p) { last = p; };
  const CampaignResult result = run_campaign(fake, jobs, {}, options);
  EXPECT_EQ(kept, 90);
  EXPECT_EQ(result.readings.size(), 90U);
  EXPECT_EQ(result.remeasured, 0);
  EXPECT_EQ(result.passes, kPasses);
  EXPECT_EQ(last.done, 90);
  EXPECT_EQ(last.total, 90);
  EXPECT_EQ(last.seconds_left, 0);
  ASSERT_EQ(fake.order.size(), 90U);
  const auto pass = [&](int p) { return std::vector(fake.order.begin() + 30 * p, fake.order.begin() + 30 * (p + 1)); };
  EXPECT_NE(pass(0), pass(1));
  EXPECT_NE(pass(1), pass(2));
  for (int p = 0; p < 3; ++p) {
    const std::vector<int> order = pass(p);
    EXPECT_EQ(std::set(order.begin(), order.end()).size(), 30U);
  }
  const std::vector<Sample> samples = combine(jobs, result.readings);
  ASSERT_EQ(samples.size(), 30U);
  EXPECT_EQ(samples[4].component.layer.attr.units, 5);
  EXPECT_EQ(samples[4].pass_us.size(), 3U);
  EXPECT_EQ(samples[4].time.runs, 3 * options.measure.min_runs);
  EXPECT_LT(worst_error(samples), kNoise);

  FakeDevice same;
  run_campaign(same, jobs, {}, {.passes = kPasses, .seed = 1});
  EXPECT_EQ(same.order, fake.order);
  FakeDevice other;
  run_campaign(other, jobs, {}, {.passes = kPasses, .seed = 2});
  EXPECT_NE(other.order, fake.order);
}

TEST(Campaign, ADriftingClockIsDividedOut) {
  FakeDevice fake;
  fake.slowness = [](int call) { return 1 + 0.075 * call / 300; };  // 7.5% slower at the end
  const auto jobs = layers(100);
  const CampaignResult result = run_campaign(fake, jobs, {}, options(fake));
  EXPECT_EQ(result.remeasured, 0);                                 // a drift is no disturbance
  EXPECT_LT(worst_error(combine(jobs, result.readings)), kNoise);  // of the usual clock, near the fastest
}

TEST(Campaign, DisturbedReadingsAreTakenAgain) {
  FakeDevice fake;
  fake.burst = [](int call) { return call % 50 < 5; };
  const auto jobs = layers(60);
  std::vector<PassReading> kept;
  CampaignOptions options{.passes = kPasses};
  options.keep = [&](const PassReading& r) { kept.push_back(r); };
  const CampaignResult result = run_campaign(fake, jobs, {}, options);
  EXPECT_GE(result.remeasured, 15);
  EXPECT_EQ(fake.calls, 180 + result.remeasured);
  EXPECT_EQ(result.cpu_share, 1);
  for (const PassReading& r : result.readings) EXPECT_EQ(r.reading.cpu_share, 1);
  EXPECT_LT(worst_error(combine(jobs, result.readings)), kNoise);
  EXPECT_LT(worst_error(combine(jobs, kept)), kNoise);  // what was stored says the same
}

TEST(Campaign, PassesThatDisagreeAreTakenAgain) {
  FakeDevice fake;
  fake.hidden_burst = [](int call) { return call % 20 == 0 && call <= 180; };
  const auto jobs = layers(60);
  const CampaignResult result = run_campaign(fake, jobs, {}, options(fake));
  EXPECT_GE(result.remeasured, 9);
  const std::vector<Sample> samples = combine(jobs, result.readings);
  EXPECT_LT(worst_error(samples), kNoise);
  for (const Sample& s : samples)
    for (const double us : s.pass_us) EXPECT_NEAR(us / FakeDevice::true_us(s.component.layer.attr.units), 1, kNoise);
}

TEST(Campaign, AMachineThatIsAlwaysBusyStillEnds) {
  FakeDevice fake;
  fake.seconds_per_run = 0.005;  // 0.1 s a reading
  fake.burst = [](int) { return true; };
  const auto jobs = layers(100);
  const CampaignResult result = run_campaign(fake, jobs, {}, options(fake));
  EXPECT_EQ(result.readings.size(), 300U);
  EXPECT_EQ(result.cpu_share, 0.5);  // which the caller warns about
  EXPECT_LT(fake.calls, 4 * 300 + 150);
}

// Spells in which the layers are 25% slower and the reference kernel 50%, as on a shared host, half of the time.
TEST(Campaign, SpellsOfDisturbanceDoNotCount) {
  FakeDevice fake;
  fake.slowness = [](int call) { return call / 40 % 2 == 0 ? 1.0 : 1.5; };
  fake.layer_slowness = [](int call) { return call / 40 % 2 == 0 ? 1.0 : 1.25; };
  const auto jobs = layers(60);
  const CampaignResult result = run_campaign(fake, jobs, {}, options(fake, 5));
  EXPECT_GT(result.remeasured, 60);
  EXPECT_LT(worst_error(combine(jobs, result.readings)), kNoise);
}

TEST(Campaign, GoesOnWhereItWasInterrupted) {
  FakeDevice whole, first, second;
  const auto jobs = layers(20);
  std::vector<PassReading> stored;
  struct Killed {};
  CampaignOptions options{.passes = kPasses};
  options.keep = [&](const PassReading& r) {
    stored.push_back(r);
    if (stored.size() == 33) throw Killed();
  };
  EXPECT_THROW(run_campaign(first, jobs, {}, options), Killed);
  ASSERT_EQ(stored.size(), 33U);
  const CampaignResult result = run_campaign(second, jobs, stored, {.passes = kPasses});
  EXPECT_EQ(second.calls, 60 - 33);
  run_campaign(whole, jobs, {}, {.passes = kPasses});
  std::vector<int> joined = first.order;
  joined.insert(joined.end(), second.order.begin(), second.order.end());
  EXPECT_EQ(joined, whole.order);
  EXPECT_EQ(result.readings.size(), 60U);
}

std::map<size_t, std::vector<int>> passes_of_jobs(const CampaignResult& result) {
  std::map<size_t, std::vector<int>> passes;
  for (const PassReading& r : result.readings) passes[r.job].push_back(r.pass);
  return passes;
}

TEST(Campaign, ATimeBudgetIsSpentAndNotMore) {
  FakeDevice fake;
  fake.seconds_per_run = 0.001;  // 20 ms a reading
  CampaignOptions limited = options(fake, 50);
  limited.minutes = 1.05 / 60;
  CampaignProgress last;
  limited.progress = [&](const CampaignProgress& p) {
    EXPECT_LE(p.seconds_left, 1.05);
    last = p;
  };
  const CampaignResult result = run_campaign(fake, layers(5), {}, limited);
  EXPECT_GT(result.minutes * 60, 1.05 - 5 * 0.02);
  EXPECT_LE(result.minutes * 60, 1.05 + 0.02);
  EXPECT_GE(result.passes, 9);
  for (const auto& [job, passes] : passes_of_jobs(result)) {
    EXPECT_GE(passes.size(), 9U) << job;
    EXPECT_LE(passes.size(), 12U) << job;
  }
  EXPECT_EQ(last.done, static_cast<int>(result.readings.size()));
}

TEST(Campaign, WhereTimeIsShortJobsThatTakeLongGetFewerPasses) {
  FakeDevice fake;
  fake.seconds_per_run = 0.001;  // 20 ms a reading, of two in ten jobs 2 s
  fake.length = [](int units) { return units <= 2 ? 100.0 : 1.0; };
  CampaignOptions limited = options(fake, 20);
  limited.minutes = 0.5;  // all would take 83 s
  const CampaignResult result = run_campaign(fake, layers(10), {}, limited);
  EXPECT_GT(result.minutes, 0.4);
  EXPECT_LE(result.minutes, 0.5 + 2.0 / 60);
  for (const auto& [job, passes] : passes_of_jobs(result)) {
    if (job >= 2) {
      EXPECT_EQ(passes.size(), 20U) << job;
      continue;
    }
    EXPECT_GE(passes.size(), 5U);  // 26.8 s for the two: 13 readings
    EXPECT_LE(passes.size(), 8U);
    EXPECT_GE(passes.back(), 13) << "all at the beginning";
    EXPECT_LE(passes[passes.size() / 2], 14) << "all at the end";
  }
  EXPECT_GE(result.passes, 5);
  EXPECT_LE(result.passes, 8);
}

TEST(Campaign, EveryJobIsMeasuredTwiceHoweverShortTheTime) {
  FakeDevice fake;
  fake.seconds_per_run = 0.001;
  fake.length = [](int units) { return units * units; };
  CampaignOptions limited = options(fake, 20);
  limited.minutes = 0.001;
  const CampaignResult result = run_campaign(fake, layers(10), {}, limited);
  for (const auto& [job, passes] : passes_of_jobs(result)) EXPECT_EQ(passes.size(), 2U) << job;
  EXPECT_EQ(result.passes, 2);
}

TEST(Campaign, APassThatIsTooLongLeavesFewerRoundsToTheOthers) {
  FakeDevice fake;
  fake.seconds_per_run = 0.001;  // 0.2 s for a pass of 20 rounds
  CampaignOptions limited = options(fake, 15);
  limited.minutes = 0.25 / 60;
  const CampaignResult result = run_campaign(fake, layers(10), {}, limited);
  EXPECT_EQ(fake.rounds.front(), 20);
  EXPECT_LT(fake.rounds.back(), 10);
  EXPECT_GE(fake.rounds.back(), CampaignOptions{}.measure.min_runs);
  EXPECT_GE(result.passes, 2);
  EXPECT_EQ(result.readings.size(), 10U + 17U);  // 3 ms each in the 50 ms that are left
  EXPECT_LE(result.minutes * 60, 0.25 + 0.003);
}

TEST(Campaign, FourPassesAreMadeToFit) {
  FakeDevice fake;
  fake.seconds_per_run = 0.001;  // 0.2 s for a pass of 20 rounds; 0.3 s are left for three more
  CampaignOptions limited = options(fake, 15);
  limited.minutes = 0.5 / 60;
  const CampaignResult result = run_campaign(fake, layers(10), {}, limited);
  EXPECT_EQ(fake.rounds.back(), 10);
  EXPECT_GE(result.readings.size(), 38U);
  EXPECT_LE(result.readings.size(), 41U);
  EXPECT_LE(result.minutes * 60, 0.5 + 0.01);
}

// A call without enough time leaves out passes of what takes long; another one with enough makes them, and no other.
TEST(Campaign, WhatThereWasNoTimeForIsMadeLater) {
  FakeDevice first, second;
  const auto jobs = layers(10);
  for (FakeDevice* fake : {&first, &second}) {
    fake->seconds_per_run = 0.001;
    fake->length = [](int units) { return units <= 2 ? 100.0 : 1.0; };
  }
  CampaignOptions limited = options(first, 20), ample = options(second, 20);
  limited.minutes = 0.5;
  ample.minutes = 10;
  const CampaignResult some = run_campaign(first, jobs, {}, limited);
  ASSERT_LT(some.passes, 20);
  const CampaignResult all = run_campaign(second, jobs, some.readings, ample);
  EXPECT_EQ(all.passes, 20);
  EXPECT_EQ(all.readings.size(), 200U);
  EXPECT_EQ(some.readings.size() + static_cast<size_t>(second.calls), 200U);

  FakeDevice third;
  CampaignOptions fewer = options(third, 5);
  fewer.minutes = 10;
  EXPECT_EQ(run_campaign(third, jobs, all.readings, fewer).readings.size(), 200U);
  EXPECT_EQ(third.calls, 0);
}

// What earlier calls measured tells how long it takes: what is new does not get all of a short time.
TEST(Campaign, StoredReadingsHaveTheirPartOfAShortTime) {
  FakeDevice first, second;
  const auto jobs = layers(10);
  for (FakeDevice* fake : {&first, &second}) fake->seconds_per_run = 110e-6 / 20;  // as long as its readings say
  std::vector<PassReading> stored = run_campaign(first, std::span(jobs).first(5), {}, options(first, 10)).readings;
  CampaignOptions limited = options(second, 20);
  limited.minutes = 0.005 / 60;  // 45 readings, of 5 jobs that lack 10 passes and 5 that lack 20
  const CampaignResult result = run_campaign(second, jobs, stored, limited);
  for (const auto& [job, passes] : passes_of_jobs(result)) EXPECT_GE(passes.size(), job < 5 ? 12U : 2U) << job;
}

// One layer alone on a busy machine: it is measured until the others go, but not for ever.
TEST(Campaign, MeasuresOnUntilASpellHasPassed) {
  FakeDevice fake;
  fake.seconds_per_run = 0.001;
  fake.burst = [&](int) { return fake.now < 3; };
  EXPECT_EQ(run_campaign(fake, layers(1), {}, options(fake)).cpu_share, 1);
  EXPECT_NEAR(fake.now, 3, 0.2);
  FakeDevice busy;
  busy.seconds_per_run = 0.001;
  busy.burst = [](int) { return true; };
  EXPECT_EQ(run_campaign(busy, layers(1), {}, options(busy)).cpu_share, 0.5);
  EXPECT_NEAR(busy.now, 5, 0.2);
}

}  // namespace
}  // namespace fdi::profile
