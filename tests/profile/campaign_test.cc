// Campaigns on a device that the test makes up: its clock drifts, and now and then somebody else takes the processor.
#include "profile/campaign.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "core/rng.h"

namespace fdi::profile {
namespace {

// Runs layer i in 100 + 10 i microseconds, times the clock's slowness at that moment.
class FakeDevice : public Runner {
 public:
  device::Identity identity() override { return {}; }
  bool supports(nn::Op) override { return true; }
  device::Reading measure(const device::Job& job, const device::MeasureOptions& options) override {
    const int i = job.network.layers.front().attr.units;
    order.push_back(i);
    core::Rng rng(7, core::Stream::kTest, calls++);
    const double slow = slowness(calls) * (1 + 0.002 * rng.normal());  // 0.2% of noise
    device::Reading r;
    const double us = true_us(i) * slow;
    r.reference_us = 60 * slowness(calls);
    if (burst(calls)) {
      r.time = {.min_us = us, .median_us = us * 1.8, .mean_us = us * 2, .rel_mad = 0.3, .runs = 7};
      r.cpu_share = 0.5;
    } else if (hidden_burst(calls)) {
      r.time = {.min_us = us, .median_us = us * 1.4, .mean_us = us * 1.4, .rel_mad = 0.1, .runs = 7};
    } else {
      r.time = {.min_us = us * 0.99, .median_us = us, .mean_us = us * 1.01, .rel_mad = 0.002, .runs = options.min_runs};
    }
    touched.insert(job.touch_bytes);
    return r;
  }
  static double true_us(int i) { return 100 + 10 * i; }

  std::function<double(int)> slowness = [](int) { return 1.0; };
  std::function<bool(int)> burst = [](int) { return false; };         // the processor is taken away
  std::function<bool(int)> hidden_burst = [](int) { return false; };  // a neighbour whom only the times tell of
  int calls = 0;
  std::vector<int> order;
  std::set<int64_t> touched;
};

std::vector<device::Component> layers(int n) {
  std::vector<device::Component> list;
  for (int i = 1; i <= n; ++i) {
    device::Component c;
    c.layer.op = nn::Op::kFc;
    c.layer.name = "fc";
    c.layer.inputs = {nn::LayerSpec::kInput};
    c.layer.attr.units = i;
    c.in = {nn::Shape{8}};
    list.push_back(c);
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

TEST(Campaign, EveryComponentInEveryPassInOrdersOfTheirOwn) {
  FakeDevice fake;
  const auto components = layers(30);
  int kept = 0;
  CampaignProgress last;
  CampaignOptions options;
  options.keep = [&](const PassReading&) { ++kept; };
  options.progress = [&](const CampaignProgress& p) { last = p; };
  const CampaignResult result = run_campaign(fake, components, {}, options);
  EXPECT_EQ(kept, 90);
  EXPECT_EQ(result.readings.size(), 90U);
  EXPECT_EQ(result.remeasured, 0);
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
  const std::vector<Sample> samples = combine(components, result.readings);
  ASSERT_EQ(samples.size(), 30U);
  EXPECT_EQ(samples[4].component.layer.attr.units, 5);
  EXPECT_EQ(samples[4].pass_us.size(), 3U);
  EXPECT_EQ(samples[4].time.runs, 3 * options.measure.min_runs);
  EXPECT_LT(worst_error(samples), kNoise);

  FakeDevice same;
  run_campaign(same, components, {}, {.seed = 1});
  EXPECT_EQ(same.order, fake.order);
  FakeDevice other;
  run_campaign(other, components, {}, {.seed = 2});
  EXPECT_NE(other.order, fake.order);
}

TEST(Campaign, ADriftingClockIsDividedOut) {
  FakeDevice fake;
  fake.slowness = [](int call) { return 1 + 0.1 * call / 300; };  // 10% slower at the end
  const auto components = layers(100);
  const CampaignResult result = run_campaign(fake, components, {}, {});
  EXPECT_EQ(result.remeasured, 0);  // a drift is no disturbance
  // Times are those of the usual clock, 5% slow here: all by the same factor.
  std::vector<Sample> samples = combine(components, result.readings);
  for (Sample& s : samples) s.time.median_us /= 1.05;
  EXPECT_LT(worst_error(samples), kNoise);
}

TEST(Campaign, DisturbedReadingsAreTakenAgain) {
  FakeDevice fake;
  fake.burst = [](int call) { return call % 50 < 5; };
  const auto components = layers(60);
  std::vector<PassReading> kept;
  CampaignOptions options;
  options.keep = [&](const PassReading& r) { kept.push_back(r); };
  const CampaignResult result = run_campaign(fake, components, {}, options);
  EXPECT_GE(result.remeasured, 15);
  EXPECT_EQ(fake.calls, 180 + result.remeasured);
  EXPECT_EQ(result.cpu_share, 1);
  for (const PassReading& r : result.readings) EXPECT_EQ(r.reading.cpu_share, 1);
  EXPECT_LT(worst_error(combine(components, result.readings)), kNoise);
  EXPECT_LT(worst_error(combine(components, kept)), kNoise);  // what was stored says the same
}

TEST(Campaign, PassesThatDisagreeAreTakenAgain) {
  FakeDevice fake;
  fake.hidden_burst = [](int call) { return call % 20 == 0 && call <= 180; };
  const auto components = layers(60);
  const CampaignResult result = run_campaign(fake, components, {}, {});
  EXPECT_GE(result.remeasured, 9);
  const std::vector<Sample> samples = combine(components, result.readings);
  EXPECT_LT(worst_error(samples), kNoise);
  for (const Sample& s : samples)
    for (const double us : s.pass_us) EXPECT_NEAR(us / FakeDevice::true_us(s.component.layer.attr.units), 1, kNoise);
}

TEST(Campaign, AMachineThatIsAlwaysBusyStillEnds) {
  FakeDevice fake;
  fake.burst = [](int) { return true; };
  const auto components = layers(100);
  const CampaignResult result = run_campaign(fake, components, {}, {});
  EXPECT_EQ(result.readings.size(), 300U);
  EXPECT_EQ(result.cpu_share, 0.5);  // which the caller warns about
  EXPECT_LT(fake.calls, 2 * 300 + 100);
}

TEST(Campaign, GoesOnWhereItWasInterrupted) {
  FakeDevice whole, first, second;
  const auto components = layers(20);
  std::vector<PassReading> stored;
  struct Killed {};
  CampaignOptions options;
  options.keep = [&](const PassReading& r) {
    stored.push_back(r);
    if (stored.size() == 33) throw Killed();
  };
  EXPECT_THROW(run_campaign(first, components, {}, options), Killed);
  ASSERT_EQ(stored.size(), 33U);
  const CampaignResult result = run_campaign(second, components, stored, {});
  EXPECT_EQ(second.calls, 60 - 33);
  run_campaign(whole, components, {}, {});
  std::vector<int> joined = first.order;
  joined.insert(joined.end(), second.order.begin(), second.order.end());
  EXPECT_EQ(joined, whole.order);
  EXPECT_EQ(result.readings.size(), 60U);
}

TEST(Campaign, ATimeBudgetEndsItBetweenReadings) {
  FakeDevice fake;
  const CampaignResult result = run_campaign(fake, layers(20), {}, {.minutes = 1e-12});
  EXPECT_TRUE(result.out_of_time);
  EXPECT_TRUE(result.readings.empty());
}

TEST(Campaign, CachesAreAsAskedFor) {
  FakeDevice fake;
  auto components = layers(2);
  for (device::Component& c : components) c.network_bytes = 1 << 20;
  run_campaign(fake, components, {}, {.cache = device::CacheMode::kWarm});
  EXPECT_EQ(fake.touched, (std::set<int64_t>{0}));
  fake.touched.clear();
  run_campaign(fake, components, {}, {.cache = device::CacheMode::kNetwork});
  for (const int64_t bytes : fake.touched) {
    EXPECT_GT(bytes, 1 << 19);
    EXPECT_LE(bytes, 1 << 20);
  }
  fake.touched.clear();
  run_campaign(fake, components, {}, {.cache = device::CacheMode::kCold});
  EXPECT_GT(*fake.touched.begin(), int64_t{1} << 40);  // all that the device has, which it knows best
}

PassReading reading(size_t component, int pass, double us, double reference_us) {
  PassReading r{component, pass, {}};
  r.reading.time = {.min_us = us, .median_us = us, .mean_us = us, .rel_mad = 0.01, .runs = 7};
  r.reading.reference_us = reference_us;
  return r;
}

TEST(Combine, ByHand) {
  const auto components = layers(3);
  // References 50, 60, 66, 60, 60: median 60.
  const PassReading readings[] = {reading(0, 0, 100, 50), reading(0, 1, 120, 60), reading(0, 2, 132, 66),
                                  reading(2, 0, 30, 60), reading(2, 0, 40, 60)};
  const std::vector<Sample> samples = combine(components, readings);
  ASSERT_EQ(samples.size(), 2U);  // the second component was never measured
  for (const double us : samples[0].pass_us) EXPECT_DOUBLE_EQ(us, 120);
  EXPECT_EQ(samples[0].time.runs, 21);
  EXPECT_EQ(samples[1].component, components[2]);
  EXPECT_EQ(samples[1].pass_us, std::vector<double>{40});  // the later reading of a pass counts
}

TEST(Combine, NothingGivesNothing) { EXPECT_TRUE(combine({}, {}).empty()); }

TEST(Judge, LooksAtTheProcessorAndAtTheClock) {
  device::Reading usual;
  usual.reference_us = 60;
  device::Reading waiting = usual, slow = usual;
  waiting.cpu_share = 0.9;
  slow.reference_us = 64;
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
  for (size_t component = 0; component < 10; ++component)
    for (int pass = 0; pass < 3; ++pass) readings.push_back(reading(component, pass, 100 + pass, 60));
  EXPECT_TRUE(outliers(readings).empty());
  readings[13] = reading(4, 1, 120, 60);
  EXPECT_EQ(outliers(readings), std::vector<size_t>{13});
  readings[13] = reading(4, 1, 121.2, 72);  // the clock was as slow as the layer: 101 us
  EXPECT_TRUE(outliers(readings).empty());
}

}  // namespace
}  // namespace fdi::profile
