#include "profile/passes.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "profile/statistics.h"

namespace fdi::profile {
namespace {

// Where nothing disturbs, as in a twentieth of the readings at least: on a busy host four of five were disturbed for a
// quarter of an hour. The least of all would be a lucky one.
double usual(std::vector<double> references) {
  const size_t n = references.size(), few = std::min(n / 5, size_t{2});
  const auto at = references.begin() + static_cast<std::ptrdiff_t>(std::max(n / 20, few));
  std::ranges::nth_element(references, at);
  return *at;
}

// How much slower the reference kernel was at each reading than it usually is.
std::vector<double> slowness(std::span<const PassReading> readings, double expected_us = 0) {
  std::vector<double> values;
  for (const PassReading& r : readings) values.push_back(r.reading.reference_us);
  const double here = usual_reference_us(readings);
  const double least = expected_us > 0 ? std::min(expected_us, here) : here;
  for (double& v : values) v /= least;
  return values;
}

void divide(device::Timing& time, double by) {
  time.min_us /= by;
  time.median_us /= by;
  time.mean_us /= by;
}

}  // namespace

bool Judge::disturbed(const device::Reading& reading) const {
  constexpr double kLeastShare = 0.97;
  constexpr size_t kFew = 5;  // before so many nobody knows what is usual
  if (one_thread_ && reading.cpu_share < kLeastShare) return true;
  if (expected_us_ > 0 && reading.reference_us > kDisturbedSlowness * expected_us_) return true;
  return references_.size() >= kFew &&
         reading.reference_us > kDisturbedSlowness * usual({references_.begin(), references_.end()});
}

void Judge::add(const device::Reading& reading) {
  constexpr size_t kLatest = 301;  // longer than a spell of disturbance, shorter than a drift of the clock
  references_.push_back(reading.reference_us);
  if (references_.size() > kLatest) references_.pop_front();
}

double usual_reference_us(std::span<const PassReading> readings) {
  if (readings.empty()) return 0;
  std::vector<double> values;
  for (const PassReading& r : readings) values.push_back(r.reading.reference_us);
  return usual(std::move(values));
}

std::vector<PassReading> at_usual_speed(std::span<const PassReading> readings, double expected_us) {
  constexpr size_t kAtLeast = 5;
  constexpr double kTooSlow = 1.3;  // to be divided out well
  const std::vector<double> slow = slowness(readings, expected_us);
  std::map<size_t, std::map<int, size_t>> passes;  // job -> pass -> index into readings
  for (size_t i = 0; i < readings.size(); ++i) passes[readings[i].job][readings[i].pass] = i;
  std::vector<PassReading> out;
  for (const auto& [job, of_pass] : passes) {
    std::vector<double> sorted;
    for (const auto& [pass, i] : of_pass) sorted.push_back(slow[i]);
    std::ranges::sort(sorted);
    const double limit = std::max(kTooSlow, sorted[std::min(kAtLeast, sorted.size()) - 1]);
    for (const auto& [pass, i] : of_pass) {
      if (slow[i] > limit) continue;
      out.push_back(readings[i]);
      device::Reading& reading = out.back().reading;
      divide(reading.total, slow[i]);
      for (device::Timing& layer : reading.layers) divide(layer, slow[i]);
    }
  }
  return out;
}

std::vector<size_t> outliers(std::span<const PassReading> readings) {
  const std::vector<double> slow = slowness(readings);
  std::map<size_t, std::vector<size_t>> by_job;  // indices into readings, undisturbed ones
  for (size_t i = 0; i < readings.size(); ++i)
    if (slow[i] <= kDisturbedSlowness) by_job[readings[i].job].push_back(i);

  std::vector<double> difference(readings.size());
  for (const auto& [job, indices] : by_job) {
    std::vector<double> us;
    for (const size_t i : indices) us.push_back(readings[i].reading.total.median_us / slow[i]);
    const double least = *std::min_element(us.begin(), us.end());  // whatever disturbs a run makes it longer
    for (size_t k = 0; k < indices.size(); ++k) difference[indices[k]] = us[k] / least - 1;
  }
  constexpr double kAtLeast = 0.05, kTimesUsual = 10;
  const double limit = std::max(kAtLeast, kTimesUsual * median(difference));
  std::vector<size_t> odd;
  for (size_t i = 0; i < readings.size(); ++i)
    if (difference[i] > limit) odd.push_back(i);
  return odd;
}

std::vector<Sample> combine(std::span<const device::Job> jobs, std::span<const PassReading> readings) {
  const std::vector<PassReading> usable = at_usual_speed(readings);  // in the order of their jobs
  std::vector<Sample> samples;
  for (size_t begin = 0, end = 0; begin < usable.size(); begin = end) {
    const size_t job = usable[begin].job;
    while (end < usable.size() && usable[end].job == job) ++end;
    const std::vector<device::Component> components = device::components(jobs[job]);
    for (size_t layer = 0; layer < components.size(); ++layer) {
      Sample sample{components[layer], {}, {}};
      std::vector<double> minima, means, spreads;
      for (size_t i = begin; i < end; ++i) {
        const std::vector<device::Timing>& layers = usable[i].reading.layers;
        if (layers.size() != components.size())
          core::fail(
              "job {}: a reading has {} layers, the job {}; remove that run (`db remove --run`), measure it anew", job,
              layers.size(), components.size());
        const device::Timing& time = layers[layer];
        sample.pass_us.push_back(time.median_us);
        minima.push_back(time.min_us);
        means.push_back(time.mean_us);
        spreads.push_back(time.rel_mad);
        sample.time.runs += time.runs;
      }
      sample.time.median_us = median(sample.pass_us);
      sample.time.min_us = *std::ranges::min_element(minima);
      sample.time.mean_us = median(std::move(means));  // a pass that somebody disturbed does not pull the others along
      sample.time.rel_mad = median(std::move(spreads));
      if (sample.time.min_us > 0) samples.push_back(std::move(sample));
    }
  }
  return samples;
}

}  // namespace fdi::profile
