// Samples from the readings of several passes, and which readings do not count.
#include "profile/passes.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/profile/fake_device.h"

namespace fdi::profile {
namespace {

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

TEST(AtUsualSpeed, DividesBySlownessAndKeepsFiveHoweverSlow) {
  // The first job was undisturbed in three passes of six and slow beyond dividing in one; the second never.
  const PassReading readings[] = {reading(0, 0, 100, 60), reading(0, 1, 100, 60),  reading(0, 2, 100, 60),
                                  reading(0, 3, 125, 72), reading(0, 4, 130, 75),  reading(0, 5, 190, 90),
                                  reading(1, 0, 300, 90), reading(1, 1, 360, 120), reading(1, 2, 280, 84),
                                  reading(1, 3, 290, 87), reading(1, 4, 320, 96),  reading(1, 5, 330, 99)};
  const std::vector<PassReading> kept = at_usual_speed(readings);
  ASSERT_EQ(kept.size(), 10U);
  EXPECT_EQ(kept[0].reading.total.median_us, 100);
  EXPECT_DOUBLE_EQ(kept[4].reading.total.median_us, 104);
  EXPECT_DOUBLE_EQ(kept[4].reading.layers[0].median_us, 104);
  for (size_t i = 5; i < 10; ++i) {
    EXPECT_NE(kept[i].pass, 1);  // the slowest
    EXPECT_NEAR(kept[i].reading.total.median_us, 200, 1e-9);
  }
}

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
