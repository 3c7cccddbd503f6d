// What take_reading does around the runs of an engine that the test makes up.
#include "device/reading.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/threads.h"
#include "device/reference.h"

namespace fdi::device {
namespace {

// Writes over its input in each run, and remembers what it saw.
struct Seen {
  int runs = 0, spoilt_inputs = 0;
  bool weights_finite = true, pinned = true, pinned_in_prepare = true;
};

int processors_allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  return CPU_COUNT(&set);
}

class FakePrepared : public Prepared {
 public:
  FakePrepared(Seen& seen, int64_t floats) : seen_(seen), input_(static_cast<size_t>(floats)) {}
  std::span<float> input() override { return input_; }
  std::span<const float> output() override { return {}; }
  void run() override {
    ++seen_.runs;
    seen_.pinned = seen_.pinned && processors_allowed() <= core::threads();
    for (const float v : input_)
      if (!std::isfinite(v)) {
        ++seen_.spoilt_inputs;
        break;
      }
    std::fill(input_.begin(), input_.end(), NAN);
    const double start = steady_clock_us();
    while (steady_clock_us() < start + 20) {
    }
  }

 private:
  Seen& seen_;
  std::vector<float> input_;
};

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(Seen& seen) : seen_(seen) {}
  std::string name() const override { return "fake"; }
  std::string version() const override { return "1"; }
  bool supports(nn::Op) const override { return true; }
  std::unique_ptr<Prepared> prepare(const nn::NetworkSpec& spec, nn::Parameters& parameters, bool, int) const override {
    for (const float w : parameters.all())
      seen_.weights_finite = seen_.weights_finite && std::isfinite(w) && std::abs(w) < 10;
    for (const nn::Parameters::Entry& e : parameters.entries())
      if (e.name == "fc.weight") seen_.weights_finite = seen_.weights_finite && parameters.tensor(e).data[1] != 0;
    seen_.pinned_in_prepare = processors_allowed() < core::hardware_threads();
    return std::make_unique<FakePrepared>(seen_, spec.input.size());
  }

 private:
  Seen& seen_;
};

Job one_layer() {
  Component c;
  c.layer.op = nn::Op::kFc;
  c.layer.name = "fc";
  c.layer.inputs = {nn::LayerSpec::kInput};
  c.layer.attr.units = 16;
  c.in = {nn::Shape{64}};
  return job_of(c);
}

class TakeReading : public ::testing::Test {
 protected:
  void SetUp() override { core::set_threads(1); }
  Seen seen;
  FakeEngine engine{seen};
};

TEST_F(TakeReading, WarmRunsFollowEachOther) {
  Job job = one_layer();
  job.touch_bytes = 0;
  const Reading r = take_reading(engine, job, {.min_runs = 5, .max_runs = 5, .min_interval_us = 100});
  EXPECT_EQ(r.time.runs, 5);
  EXPECT_GT(seen.runs, 5 * 2);                   // 20 us a run: several a reading
  EXPECT_EQ(seen.spoilt_inputs, seen.runs - 1);  // nobody writes the input anew
  EXPECT_GE(r.time.min_us, 20);
  EXPECT_GT(r.reference_us, 0);
  EXPECT_GT(r.cpu_share, 0);
  EXPECT_LE(r.cpu_share, 1);
  EXPECT_TRUE(seen.weights_finite);
}

TEST_F(TakeReading, TouchedRunsAreSingleAndFindAFreshInput) {
  Job job = one_layer();
  job.touch_bytes = 1 << 20;
  const Reading r = take_reading(engine, job, {.warm_up = 2, .min_runs = 7, .max_runs = 7, .min_interval_us = 1000});
  EXPECT_EQ(r.time.runs, 7);
  EXPECT_EQ(seen.runs, 2 + 1 + 7);   // warm-up, one to see how long it takes, one a reading
  EXPECT_EQ(seen.spoilt_inputs, 2);  // of the warm-up
}

TEST_F(TakeReading, ColdTouchesWhatTheDeviceHas) {
  const Reading r =
      take_reading(engine, with_caches(one_layer(), CacheMode::kCold), {.warm_up = 0, .min_runs = 2, .max_runs = 2});
  EXPECT_EQ(r.time.runs, 2);
  EXPECT_EQ(seen.spoilt_inputs, 0);
}

TEST_F(TakeReading, ThreadsAreBoundWhileTimedAndFreeBeforeAndAfter) {
  const int before = processors_allowed();
  take_reading(engine, one_layer(), {.min_runs = 2, .max_runs = 2});
  EXPECT_TRUE(seen.pinned);
  EXPECT_FALSE(seen.pinned_in_prepare);
  EXPECT_EQ(processors_allowed(), before);
}

TEST(CacheModes, NamesAndWhatTheyTouch) {
  for (const CacheMode mode : {CacheMode::kWarm, CacheMode::kNetwork, CacheMode::kCold})
    EXPECT_EQ(cache_mode(cache_mode_name(mode)), mode);
  EXPECT_THROW(cache_mode("hot"), core::Error);
  Job job = one_layer();
  job.touch_bytes = 1000;
  EXPECT_EQ(with_caches(job, CacheMode::kWarm).touch_bytes, 0);
  EXPECT_EQ(with_caches(job, CacheMode::kNetwork).touch_bytes, 1000);
  EXPECT_GT(with_caches(job, CacheMode::kCold).touch_bytes, int64_t{1} << 40);
}

TEST(Reference, TakesTime) { EXPECT_GT(time_reference_us(), 0); }

TEST(ReadingJson, ComesBackAndRefusesWhatIsWrong) {
  Reading r;
  r.time = {.min_us = 1.5, .median_us = 2, .mean_us = 2.25, .rel_mad = 0.125, .runs = 21};
  r.reference_us = 61.5;
  r.cpu_share = 0.75;
  const nlohmann::json json = reading_to_json(r);
  const Reading back = reading_from_json(json, "here");
  EXPECT_EQ(back.time.median_us, 2);
  EXPECT_EQ(back.time.min_us, 1.5);
  EXPECT_EQ(back.time.mean_us, 2.25);
  EXPECT_EQ(back.time.rel_mad, 0.125);
  EXPECT_EQ(back.time.runs, 21);
  EXPECT_EQ(back.reference_us, 61.5);
  EXPECT_EQ(back.cpu_share, 0.75);
  for (const auto& [key, wrong] : std::vector<std::pair<std::string, nlohmann::json>>{{"median_us", -1},
                                                                                      {"median_us", nullptr},
                                                                                      {"min_us", 0},
                                                                                      {"runs", 0},
                                                                                      {"runs", 1.5},
                                                                                      {"cpu_share", 2},
                                                                                      {"reference_us", 0},
                                                                                      {"mean_us", "fast"}}) {
    nlohmann::json damaged = json;
    damaged[key] = wrong;
    try {
      reading_from_json(damaged, "here");
      ADD_FAILURE() << key << " = " << wrong << " was taken";
    } catch (const core::Error& e) {
      EXPECT_EQ(std::string(e.what()).rfind("here: ", 0), 0U) << e.what();
    }
  }
  nlohmann::json missing = json;
  missing.erase("runs");
  EXPECT_THROW(reading_from_json(missing, "here"), core::Error);
}

}  // namespace
}  // namespace fdi::device
