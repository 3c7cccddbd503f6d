// A device that the tests of campaigns make up: its clock drifts, and now and then somebody else takes the processor.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "core/rng.h"
#include "profile/campaign.h"

namespace fdi::profile {

// Runs a layer of i units in 100 + 10 i microseconds, times the clock's slowness at that moment. Time passes only where
// a test says so: `seconds_per_run`.
class FakeDevice : public Runner {
 public:
  device::Identity identity() override { return {}; }
  bool supports(nn::Op) override { return true; }
  device::Reading measure(const device::Job& job, const device::MeasureOptions& options) override {
    const int i = job.networks.front().layers.front().attr.units;
    order.push_back(i);
    rounds.push_back(options.max_runs);
    now += seconds_per_run * options.max_runs * length(i);
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
  std::function<double(int)> length = [](int) { return 1.0; };        // of a run of a layer of so many units
  double now = 0, seconds_per_run = 0;
  int calls = 0;
  std::vector<int> order, rounds;  // of each call: the layer, how many rounds it was asked for
};

// Jobs of one layer of 1, 2, ... units.
inline std::vector<device::Job> layers(int n) {
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
inline double worst_error(const std::vector<Sample>& samples) {
  double worst = 0;
  for (const Sample& s : samples)
    worst = std::max(worst, std::abs(s.time.median_us / FakeDevice::true_us(s.component.layer.attr.units) - 1));
  return worst;
}

// Of a job of one layer.
inline PassReading reading(size_t job, int pass, double us, double reference_us) {
  PassReading r{job, pass, {}};
  r.reading.total = {.min_us = us, .median_us = us, .mean_us = us, .rel_mad = 0.01, .runs = 7};
  r.reading.layers = {r.reading.total};
  r.reading.reference_us = reference_us;
  return r;
}

}  // namespace fdi::profile
