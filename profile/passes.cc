#include "profile/passes.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"

namespace fdi::profile {
namespace {

using device::median;

// How much slower the clock was at each reading than it usually was.
std::vector<double> slowness(std::span<const PassReading> readings) {
  std::vector<double> values;
  for (const PassReading& r : readings) values.push_back(r.reading.reference_us);
  const double usual = median(values);
  for (double& v : values) v /= usual;
  return values;
}

}  // namespace

bool Judge::disturbed(const device::Reading& reading) const {
  constexpr double kLeastShare = 0.97, kClockOff = 0.05;
  constexpr size_t kFew = 5;  // before so many nobody knows what is usual
  if (one_thread_ && reading.cpu_share < kLeastShare) return true;
  if (references_.size() < kFew) return false;
  const double usual = median({references_.begin(), references_.end()});
  return std::abs(reading.reference_us / usual - 1) > kClockOff;
}

void Judge::add(const device::Reading& reading) {
  constexpr size_t kLatest = 31;  // some seconds: the clock drifts over minutes
  references_.push_back(reading.reference_us);
  if (references_.size() > kLatest) references_.pop_front();
}

std::vector<size_t> outliers(std::span<const PassReading> readings) {
  const std::vector<double> slow = slowness(readings);
  std::map<size_t, std::vector<size_t>> by_job;  // indices into readings
  for (size_t i = 0; i < readings.size(); ++i) by_job[readings[i].job].push_back(i);

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
  const std::vector<double> slow = slowness(readings);
  std::map<size_t, std::map<int, size_t>> passes;  // job -> pass -> index into readings
  for (size_t i = 0; i < readings.size(); ++i) passes[readings[i].job][readings[i].pass] = i;

  std::vector<Sample> samples;
  for (const auto& [job, of_pass] : passes) {
    const std::vector<device::Component> components = device::components(jobs[job]);
    for (size_t layer = 0; layer < components.size(); ++layer) {
      Sample sample{components[layer], {}, {}};
      std::vector<double> minima, means, spreads;
      for (const auto& [pass, i] : of_pass) {
        const std::vector<device::Timing>& layers = readings[i].reading.layers;
        if (layers.size() != components.size())
          core::fail("job {}: a reading has {} layers, the job {}: they do not belong together", job, layers.size(),
                     components.size());
        const device::Timing& time = layers[layer];
        sample.pass_us.push_back(time.median_us / slow[i]);
        minima.push_back(time.min_us / slow[i]);
        means.push_back(time.mean_us / slow[i]);
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
