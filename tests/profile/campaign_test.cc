// Campaigns on a device that the test makes up: its clock drifts, and now and then somebody else takes the processor.
#include "profile/campaign.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <set>
#include <thread>

#include "core/error.h"
#include "core/rng.h"

namespace fdi::profile {
namespace {

// Runs a layer of i units in 100 + 10 i microseconds, times the clock's slowness at that moment.
class FakeDevice : public Runner {
 public:
  device::Identity identity() override { return {}; }
  bool supports(nn::Op) override { return true; }
  device::Reading measure(const device::Job& job, const device::MeasureOptions& options) override {
    const int i = job.networks.front().layers.front().attr.units;
    order.push_back(i);
    core::Rng rng(7, core::Stream::kTest, calls++);
    const double slow = slowness(calls) * (1 + 0.002 * rng.normal());  // 0.2% of noise
    device::Reading r;
    const double us = true_us(i) * (layer_slowness ? layer_slowness(calls) * slow / slowness(calls) : slow);
    r.reference_us = 60 * slowness(calls);
    if (burst(calls)) {
      r.total = {.min_us = us, .median_us = us * 1.8, .mean_us = us * 2, .rel_mad = 0.3, .runs = 7};
      r.cpu_share = 0.5;
    } else if (hidden_burst(calls)) {
      r.total = {.min_us = us, .median_us = us * 1.4, .mean_us = us * 1.4, .rel_mad = 0.1, .runs = 7};
    } else {
      r.total = {
          .min_us = us * 0.99, .median_us = us, .mean_us = us * 1.01, .rel_mad = 0.002, .runs = options.min_runs};
    }
    r.layers = {r.total};
    return r;
  }
  static double true_us(int i) { return 100 + 10 * i; }

  std::function<double(int)> slowness = [](int) { return 1.0; };
  std::function<double(int)> layer_slowness{};                        // where it differs from the reference kernel's
  std::function<bool(int)> burst = [](int) { return false; };         // the processor is taken away
  std::function<bool(int)> hidden_burst = [](int) { return false; };  // a neighbour whom only the times tell of
  int calls = 0;
  std::vector<int> order;
};

// Jobs of one layer of 1, 2, ... units.
std::vector<device::Job> layers(int n) {
  std::vector<device::Job> list;
  for (int i = 1; i <= n; ++i) {
    device::Component c;
    c.layer.op = nn::Op::kFc;
    c.layer.name = "fc";
    c.layer.inputs = {nn::LayerSpec::kInput};
    c.layer.attr.units = i;
    c.in = {nn::Shape{8}};
    list.push_back(device::job_of(std::span(&c, 1)));
  }
  return list;
}

constexpr double kNoise = 0.01;  // five standard deviations of the fake device's noise

// Largest relative error of the samples' medians.
double worst_error(const std::vector<Sample>& samples) {
  double worst = 0;
  for (const Sample& s : samples)
    worst = std::max(worst, std::abs(s.time.median_us / FakeDevice::true_us(s.component.layer.attr.units) - 1));
  return worst;
}

constexpr int kPasses = 3;  // which the counts below are made for

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
  fake.slowness = [](int call) { return 1 + 0.1 * call / 300; };  // 10% slower at the end
  const auto jobs = layers(100);
  const CampaignResult result = run_campaign(fake, jobs, {}, {.passes = kPasses});
  EXPECT_EQ(result.remeasured, 0);  // a drift is no disturbance
  // Times are those of the usual clock, what a fifth of the readings are faster than, 2% slow here.
  std::vector<Sample> samples = combine(jobs, result.readings);
  for (Sample& s : samples) s.time.median_us /= 1.02;
  EXPECT_LT(worst_error(samples), kNoise);
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
  const CampaignResult result = run_campaign(fake, jobs, {}, {.passes = kPasses});
  EXPECT_GE(result.remeasured, 9);
  const std::vector<Sample> samples = combine(jobs, result.readings);
  EXPECT_LT(worst_error(samples), kNoise);
  for (const Sample& s : samples)
    for (const double us : s.pass_us) EXPECT_NEAR(us / FakeDevice::true_us(s.component.layer.attr.units), 1, kNoise);
}

TEST(Campaign, AMachineThatIsAlwaysBusyStillEnds) {
  FakeDevice fake;
  fake.burst = [](int) { return true; };
  const auto jobs = layers(100);
  const CampaignResult result = run_campaign(fake, jobs, {}, {.passes = kPasses});
  EXPECT_EQ(result.readings.size(), 300U);
  EXPECT_EQ(result.cpu_share, 0.5);  // which the caller warns about
  EXPECT_LT(fake.calls, 2 * 300 + 150);
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

// Takes 20 ms a reading of 20 rounds, fewer of fewer.
class SlowDevice : public FakeDevice {
 public:
  device::Reading measure(const device::Job& job, const device::MeasureOptions& options) override {
    rounds.push_back(options.max_runs);
    std::this_thread::sleep_for(std::chrono::milliseconds(options.max_runs));
    return FakeDevice::measure(job, options);
  }
  std::vector<int> rounds;
};

TEST(Campaign, ATimeBudgetEndsItAfterWholePasses) {
  SlowDevice fake;
  const CampaignResult result = run_campaign(fake, layers(5), {}, {.passes = 50, .minutes = 1.0 / 60});
  EXPECT_GE(result.passes, 4);
  EXPECT_LT(result.passes, 50);
  EXPECT_EQ(result.readings.size(), 5U * static_cast<size_t>(result.passes));
}

TEST(Campaign, PassesAreSpreadOverASpell) {
  FakeDevice device;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<double> at;  // seconds; a busy machine makes them later, never earlier
  device.burst = [&](int) {
    at.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    return false;
  };
  run_campaign(device, layers(1), {}, {.passes = 4, .spread_seconds = 0.2});
  ASSERT_EQ(at.size(), 4U);
  for (int pass = 0; pass < 4; ++pass) EXPECT_GE(at[static_cast<size_t>(pass)], 0.2 * pass / 4);
}

TEST(Campaign, APassThatIsTooLongLeavesFewerRoundsToTheOthers) {
  SlowDevice fake;
  const CampaignResult result = run_campaign(fake, layers(10), {}, {.passes = 15, .minutes = 0.25 / 60});
  EXPECT_EQ(fake.rounds.front(), 20);
  EXPECT_LT(fake.rounds.back(), 10);
  EXPECT_GE(fake.rounds.back(), CampaignOptions{}.measure.min_runs);
  EXPECT_GE(result.passes, 2);
  EXPECT_EQ(result.readings.size(), 10U * static_cast<size_t>(result.passes));
}

PassReading reading(size_t job, int pass, double us, double reference_us) {
  PassReading r{job, pass, {}};
  r.reading.total = {.min_us = us, .median_us = us, .mean_us = us, .rel_mad = 0.01, .runs = 7};
  r.reading.layers = {r.reading.total};
  r.reading.reference_us = reference_us;
  return r;
}

TEST(Combine, ByHand) {
  const auto jobs = layers(3);
  // References 50, 60, 63, 60, 60: usually 60.
  const PassReading readings[] = {reading(0, 0, 100, 50), reading(0, 1, 120, 60), reading(0, 2, 126, 63),
                                  reading(2, 0, 30, 60), reading(2, 0, 40, 60)};
  const std::vector<Sample> samples = combine(jobs, readings);
  ASSERT_EQ(samples.size(), 2U);  // the second job was never measured
  for (const double us : samples[0].pass_us) EXPECT_DOUBLE_EQ(us, 120);
  EXPECT_EQ(samples[0].time.runs, 21);
  EXPECT_EQ(samples[1].component, device::components(jobs[2])[0]);
  EXPECT_EQ(samples[1].pass_us, std::vector<double>{40});  // the later reading of a pass counts
}

// Spells in which the layers are 25% slower and the reference kernel 50%, as on a shared host, half of the time.
TEST(Campaign, SpellsOfDisturbanceDoNotCount) {
  FakeDevice fake;
  fake.slowness = [](int call) { return call / 40 % 2 == 0 ? 1.0 : 1.5; };
  fake.layer_slowness = [](int call) { return call / 40 % 2 == 0 ? 1.0 : 1.25; };
  const auto jobs = layers(60);
  const CampaignResult result = run_campaign(fake, jobs, {}, {.passes = 5});
  EXPECT_GT(result.remeasured, 60);
  EXPECT_LT(worst_error(combine(jobs, result.readings)), kNoise);
}

TEST(Undisturbed, ThreePassesCountHoweverDisturbedTheyAre) {
  const PassReading readings[] = {reading(0, 0, 100, 60), reading(0, 1, 100, 60),  reading(1, 0, 130, 90),
                                  reading(1, 1, 125, 80), reading(1, 2, 140, 100), reading(1, 3, 150, 120)};
  const std::vector<PassReading> kept = undisturbed(readings);
  ASSERT_EQ(kept.size(), 5U);
  EXPECT_EQ(kept[0].reading.total.median_us, 100);
  for (size_t i = 2; i < 5; ++i) EXPECT_LE(kept[i].pass, 2);
}

TEST(Combine, EveryLayerOfAJobIsASample) {
  std::vector<device::Component> both = device::components(layers(2)[0]);
  both.push_back(device::components(layers(2)[1])[0]);
  const std::vector<device::Job> jobs{device::job_of(both)};
  PassReading r = reading(0, 0, 30, 60);
  EXPECT_THROW(combine(jobs, std::span(&r, 1)), core::Error);  // one layer of two
  r.reading.layers.push_back({.min_us = 4, .median_us = 5, .mean_us = 6, .rel_mad = 0, .runs = 3});
  const std::vector<Sample> samples = combine(jobs, std::span(&r, 1));
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].time.median_us, 30);
  EXPECT_EQ(samples[1].time.median_us, 5);
  EXPECT_EQ(samples[1].component.layer.attr.units, 2);
  r.reading.layers[0] = {};  // nothing to do for this engine
  EXPECT_EQ(combine(jobs, std::span(&r, 1)).size(), 1U);
}

TEST(Combine, NothingGivesNothing) { EXPECT_TRUE(combine({}, {}).empty()); }

TEST(Judge, LooksAtTheProcessorAndAtTheClock) {
  device::Reading usual;
  usual.reference_us = 60;
  device::Reading waiting = usual, slow = usual;
  waiting.cpu_share = 0.9;
  slow.reference_us = 66;
  Judge one(true), several(false);
  EXPECT_TRUE(one.disturbed(waiting));
  EXPECT_FALSE(several.disturbed(waiting));  // its caller waits for other threads
  EXPECT_FALSE(one.disturbed(slow));         // nobody knows yet what is usual
  for (int i = 0; i < 10; ++i) {
    one.add(usual);
    several.add(usual);
  }
  EXPECT_TRUE(one.disturbed(slow));
  EXPECT_TRUE(several.disturbed(slow));
  EXPECT_FALSE(one.disturbed(usual));
}

TEST(Outliers, TheOnePassThatIsFarOff) {
  std::vector<PassReading> readings;
  for (size_t job = 0; job < 10; ++job)
    for (int pass = 0; pass < 3; ++pass) readings.push_back(reading(job, pass, 100 + pass, 60));
  EXPECT_TRUE(outliers(readings).empty());
  readings[13] = reading(4, 1, 120, 60);
  EXPECT_EQ(outliers(readings), std::vector<size_t>{13});
  readings[13] = reading(4, 1, 121.2, 72);  // the clock was as slow as the layer: 101 us
  EXPECT_TRUE(outliers(readings).empty());
}

}  // namespace
}  // namespace fdi::profile
