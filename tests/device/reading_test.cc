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
#include "nn/builder.h"

namespace fdi::device {
namespace {

// Writes over its input in each run, and remembers what it saw.
struct Seen {
  int runs = 0, spoilt_inputs = 0;
  std::vector<std::string> order;  // of the layers that ran
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
  FakePrepared(Seen& seen, const nn::NetworkSpec& spec)
      : seen_(seen), spec_(spec), input_(static_cast<size_t>(spec.input.size())) {}
  std::span<float> input() override { return input_; }
  std::span<const float> output() override { return {}; }
  // A layer of n units takes n microseconds, a flatten nothing.
  void run(const AfterLayer* after) override {
    ++seen_.runs;
    seen_.pinned = seen_.pinned && processors_allowed() <= core::threads();
    for (const float v : input_)
      if (!std::isfinite(v)) {
        ++seen_.spoilt_inputs;
        break;
      }
    std::ranges::fill(input_, NAN);
    for (size_t i = 0; i < spec_.layers.size(); ++i) {
      const double start = steady_clock_us();
      while (steady_clock_us() < start + spec_.layers[i].attr.units) {
      }
      seen_.order.push_back(spec_.layers[i].name);
      if (after != nullptr) (*after)(static_cast<int>(i));
    }
  }

 private:
  Seen& seen_;
  nn::NetworkSpec spec_;
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
    return std::make_unique<FakePrepared>(seen_, spec);
  }

 private:
  Seen& seen_;
};

Component fully_connected(const std::string& name, int units) {
  Component c;
  c.layer.op = nn::Op::kFc;
  c.layer.name = name;
  c.layer.inputs = {nn::LayerSpec::kInput};
  c.layer.attr.units = units;
  c.in = {nn::Shape{64}};
  return c;
}
Job one_layer_job() {
  const Component c = fully_connected("fc", 20);
  return job_of(std::span(&c, 1));
}
Job two_layers_in_turn() {
  const Component both[] = {fully_connected("fc", 20), fully_connected("second", 60)};
  return job_of(both);
}

class TakeReading : public ::testing::Test {
 protected:
  void SetUp() override { core::set_threads(1); }
  Seen seen;
  FakeEngine engine{seen};
};

TEST_F(TakeReading, OneNetworkRunsOnItsOwnInput) {
  const Reading r = take_reading(engine, one_layer_job(), {.warm_up = 2, .min_runs = 5, .max_runs = 5});
  EXPECT_EQ(r.total.runs, 5);
  EXPECT_EQ(seen.runs, 2 + 5);
  EXPECT_EQ(seen.spoilt_inputs, seen.runs - 1);  // nobody writes the input anew
  EXPECT_GE(r.total.min_us, 20);
  ASSERT_EQ(r.layers.size(), 1U);
  EXPECT_EQ(r.layers[0].median_us, r.total.median_us);
  EXPECT_GT(r.reference_us, 0);
  EXPECT_GT(r.cpu_share, 0);
  EXPECT_LE(r.cpu_share, 1);
  EXPECT_TRUE(seen.weights_finite);
}

TEST_F(TakeReading, SeveralNetworksTakeTurnsAndFindFreshInputs) {
  const Reading r = take_reading(engine, two_layers_in_turn(), {.warm_up = 0, .min_runs = 3, .max_runs = 3});
  EXPECT_EQ(seen.order, (std::vector<std::string>{"fc", "second", "fc", "second", "fc", "second"}));
  EXPECT_EQ(seen.spoilt_inputs, 0);
  ASSERT_EQ(r.layers.size(), 2U);
  EXPECT_GE(r.layers[0].min_us, 20);
  EXPECT_GE(r.layers[1].min_us, 60);
  EXPECT_GE(r.total.min_us, 80);
  EXPECT_EQ(r.layers[1].runs, 3);
}

TEST_F(TakeReading, LayersOfANetworkAreTimedWhereTheyRun) {
  nn::SpecBuilder b("three", {8, 8, 1});
  b.add(nn::Op::kConv2d, "conv", {.units = 30});
  b.add(nn::Op::kFlatten, "flat");  // its time, none or little, is the layer's before
  b.add(nn::Op::kFc, "fc", {.units = 90});
  const Job job = job_of(b.take());
  const Reading r = take_reading(engine, job, {.min_runs = 3, .max_runs = 3});
  ASSERT_EQ(r.layers.size(), 2U);
  EXPECT_EQ(r.layers.size(), components(job).size());
  EXPECT_GE(r.layers[0].min_us, 30);
  EXPECT_GE(r.layers[1].min_us, 90);
  EXPECT_GE(r.total.min_us, 120);
}

TEST_F(TakeReading, TouchedMemoryIsNotTimed) {
  Job job = one_layer_job();
  job.touch_bytes = 1 << 20;
  const Reading r = take_reading(engine, job, {.warm_up = 2, .min_runs = 7, .max_runs = 7});
  EXPECT_EQ(r.total.runs, 7);
  EXPECT_EQ(seen.runs, 2 + 7);
  EXPECT_EQ(seen.spoilt_inputs, 0);  // written anew before each
}

TEST_F(TakeReading, ThreadsAreBoundWhileTimedAndFreeBeforeAndAfter) {
  const int before = processors_allowed();
  take_reading(engine, one_layer_job(), {.min_runs = 2, .max_runs = 2});
  EXPECT_TRUE(seen.pinned);
  EXPECT_FALSE(seen.pinned_in_prepare);
  EXPECT_EQ(processors_allowed(), before);
}

TEST(CacheModes, NamesAndWhatTheyMakeOfAJob) {
  for (const CacheMode mode : {CacheMode::kWarm, CacheMode::kNetwork, CacheMode::kCold})
    EXPECT_EQ(cache_mode(cache_mode_name(mode)), mode);
  EXPECT_THROW(cache_mode("hot"), core::Error);
  const Job job = two_layers_in_turn();
  EXPECT_EQ(with_caches(job, CacheMode::kNetwork), std::vector{job});
  const std::vector<Job> warm = with_caches(job, CacheMode::kWarm), cold = with_caches(job, CacheMode::kCold);
  ASSERT_EQ(warm.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(warm[i].networks, std::vector{job.networks[i]});
    EXPECT_EQ(warm[i].touch_bytes, 0);
  }
  ASSERT_EQ(cold.size(), 1U);
  EXPECT_EQ(cold[0].networks, job.networks);
  EXPECT_GT(cold[0].touch_bytes, int64_t{1} << 40);  // as much as the device's caches hold, which it knows best
}

TEST(Reference, TakesTime) {
  EXPECT_GT(time_reference_us(), 0);
  EXPECT_GT(time_reference_us(3), 0);
}

TEST(ReadingJson, ComesBackAndRefusesWhatIsWrong) {
  Reading r;
  r.total = {.min_us = 1.5, .median_us = 2, .mean_us = 2.25, .rel_mad = 0.125, .runs = 21};
  r.layers = {{.min_us = 0.5, .median_us = 1, .mean_us = 1, .rel_mad = 0, .runs = 21}, r.total};
  r.reference_us = 61.5;
  r.cpu_share = 0.75;
  const nlohmann::json json = reading_to_json(r);
  const Reading back = reading_from_json(json, "here");
  EXPECT_EQ(back.total.median_us, 2);
  EXPECT_EQ(back.total.min_us, 1.5);
  EXPECT_EQ(back.total.mean_us, 2.25);
  EXPECT_EQ(back.total.rel_mad, 0.125);
  EXPECT_EQ(back.total.runs, 21);
  EXPECT_EQ(back.reference_us, 61.5);
  EXPECT_EQ(back.cpu_share, 0.75);
  ASSERT_EQ(back.layers.size(), 2U);
  EXPECT_EQ(back.layers[0].min_us, 0.5);
  EXPECT_EQ(back.layers[1].median_us, 2);
  for (const auto& [path, wrong] : std::vector<std::pair<std::string, nlohmann::json>>{{"/total/median_us", -1},
                                                                                       {"/total/median_us", nullptr},
                                                                                       {"/total/min_us", 0},
                                                                                       {"/total/runs", 0},
                                                                                       {"/total/runs", 1.5},
                                                                                       {"/layers/1/mean_us", "fast"},
                                                                                       {"/layers/0", 3},
                                                                                       {"/layers", {}},
                                                                                       {"/cpu_share", 2},
                                                                                       {"/reference_us", 0}}) {
    nlohmann::json damaged = json;
    damaged[nlohmann::json::json_pointer(path)] = wrong;
    try {
      reading_from_json(damaged, "here");
      ADD_FAILURE() << path << " = " << wrong << " was taken";
    } catch (const core::Error& e) {
      EXPECT_EQ(std::string(e.what()).rfind("here: ", 0), 0U) << e.what();
    }
  }
  nlohmann::json missing = json;
  missing["total"].erase("runs");
  EXPECT_THROW(reading_from_json(missing, "here"), core::Error);
}

}  // namespace
}  // namespace fdi::device
