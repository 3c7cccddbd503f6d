// Whole networks on a made-up device whose clock the tests play.
#include "profile/network_timing.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/profile/fake_device.h"

namespace fdi::profile {
namespace {

constexpr double kUsualUs = 60;  // what the fake device's reference kernel takes where nothing disturbs

std::vector<nn::NetworkSpec> networks(int n) {
  std::vector<nn::NetworkSpec> specs;
  for (const device::Job& job : layers(n)) specs.push_back(job.networks.front());
  return specs;
}

struct Timed {
  FakeDevice fake;
  NetworkTimingOptions options{.reference_us = kUsualUs, .once = false};
  Timed() {
    fake.seconds_per_run = 0.002;  // 0.04 s a reading, 0.6 s the passes over one network
    options.seconds = [this] { return fake.now; };
  }
  NetworkTimings run(int n) { return time_networks(fake, networks(n), options); }
};

TEST(NetworkTiming, NetworksTakeTurnsForAsLongAsASpellLasts) {
  Timed t;
  std::vector<int> passes;
  t.options.progress = [&](int n) {
    if (passes.empty() || n != passes.back()) passes.push_back(n);
  };
  const NetworkTimings timings = t.run(2);
  ASSERT_EQ(timings.networks.size(), 2U);
  for (int i = 0; i < 2; ++i) {
    const NetworkTiming& network = timings.networks[static_cast<size_t>(i)];
    EXPECT_NEAR(network.total.median_us, FakeDevice::true_us(i + 1), kNoise * 110);
    ASSERT_EQ(network.layer_us.size(), 1U);
    EXPECT_EQ(network.layer_us[0], network.total.median_us) << "a network of one layer";
  }
  EXPECT_NEAR(timings.slowness, 1, kNoise);
  std::vector<int> each(46);
  std::iota(each.begin(), each.end(), 0);
  EXPECT_EQ(passes, each) << "3 campaigns of 15 passes and 1.2 s";
  EXPECT_GE(t.fake.now, t.options.least_seconds);
  EXPECT_LT(t.fake.now, t.options.most_seconds);
  const std::vector<int>& order = t.fake.order;
  EXPECT_NE(std::vector(order.begin(), order.begin() + 30), std::vector(order.begin() + 30, order.begin() + 60));
}

// The host is slow for the first 10 seconds: a layer by 25%, the reference kernel by 50%.
TEST(NetworkTiming, ASlowSpellIsWaitedFor) {
  Timed t;
  const auto slow = [&t](double by) { return t.fake.now < 10 ? by : 1.0; };
  t.fake.slowness = [&](int) { return slow(1.5); };
  t.fake.layer_slowness = [&](int) { return slow(1.25); };
  const NetworkTimings timings = t.run(2);
  EXPECT_NEAR(timings.networks[0].total.median_us, FakeDevice::true_us(1), kNoise * 110);
  EXPECT_NEAR(timings.networks[1].total.median_us, FakeDevice::true_us(2), kNoise * 120);
  EXPECT_NEAR(timings.slowness, 1, kNoise);
  EXPECT_GE(t.fake.now, 10);
  EXPECT_LT(t.fake.now, t.options.most_slow_seconds);
}

TEST(NetworkTiming, AMachineThatStaysSlowIsToldOf) {
  Timed t;
  t.fake.slowness = [](int) { return 1.5; };
  const NetworkTimings timings = t.run(1);
  EXPECT_NEAR(timings.slowness, 1.5, kNoise);
  EXPECT_NEAR(timings.networks[0].total.median_us, FakeDevice::true_us(1), kNoise * 110) << "divided by that";
  EXPECT_GE(t.fake.now, t.options.most_slow_seconds);
  EXPECT_LT(t.fake.now, 2 * t.options.most_slow_seconds);
}

TEST(NetworkTiming, UnsureMediansTakeMorePasses) {
  Timed t;
  t.fake.layer_slowness = [](int call) { return call % 2 == 0 ? 1.0 : 1.04; };  // which no reference tells of
  t.options.sure = 0.002;
  t.run(1);
  Timed quiet;
  quiet.options.sure = 0.002;
  quiet.run(1);
  EXPECT_LT(quiet.fake.now, t.options.least_seconds + 1);
  EXPECT_GT(t.fake.now, 1.5 * quiet.fake.now);
}

// Without a usual time of the reference kernel what is usual here and now counts.
TEST(NetworkTiming, WhereNobodyKnowsWhatIsUsual) {
  Timed t;
  t.options.reference_us = 0;
  t.fake.slowness = [](int call) { return call % 3 == 0 ? 1.5 : 1.0; };
  const NetworkTimings timings = t.run(1);
  EXPECT_EQ(timings.slowness, 1);
  EXPECT_NEAR(timings.networks[0].total.median_us, FakeDevice::true_us(1), kNoise * 110);
}

}  // namespace
}  // namespace fdi::profile
