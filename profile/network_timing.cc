#include "profile/network_timing.h"

#include <algorithm>

#include "core/error.h"

namespace fdi::profile {
namespace {

// The passes over each network that count.
std::vector<std::vector<device::Reading>> by_network(std::span<const PassReading> passes, size_t networks) {
  std::vector<std::vector<device::Reading>> readings(networks);
  for (const PassReading& pass : passes) readings[pass.job].push_back(pass.reading);
  return readings;
}

template <class TimeOf>
std::vector<double> collect(const std::vector<device::Reading>& readings, TimeOf time_of) {
  std::vector<double> us;
  us.reserve(readings.size());
  for (const device::Reading& r : readings) us.push_back(time_of(r));
  return us;
}

NetworkTiming join(const std::vector<device::Reading>& readings) {
  NetworkTiming out{device::summarize(collect(readings, [](const auto& r) { return r.total.median_us; })), {}};
  for (size_t i = 0; i < readings.front().layers.size(); ++i)
    out.layer_us.push_back(device::median(collect(readings, [i](const auto& r) { return r.layers[i].median_us; })));
  return out;
}

}  // namespace

NetworkTimings time_networks(Runner& runner, std::span<const nn::NetworkSpec> networks,
                             const NetworkTimingOptions& options) {
  CHECK(!networks.empty());
  std::vector<device::Job> jobs;
  jobs.reserve(networks.size());
  for (const nn::NetworkSpec& spec : networks) jobs.push_back(device::job_of(spec));

  CampaignOptions campaign;
  campaign.reference_us = options.reference_us;
  campaign.seconds = options.seconds;
  NetworkTimings out;
  std::vector<PassReading> all;
  const double begin = options.seconds();
  int passes = 0;
  const auto go_on = [&](double error, double seconds) {
    if (passes == 0 || options.once) return passes == 0;
    return seconds < options.least_seconds || (error > options.sure && seconds < options.most_seconds) ||
           (out.slowness > kDisturbedSlowness && seconds < options.most_slow_seconds);
  };
  for (double error = 1, seconds = 0; go_on(error, seconds); seconds = options.seconds() - begin) {
    campaign.seed = static_cast<uint64_t>(passes) + 1;  // other orders each time
    if (options.progress)
      campaign.progress = [&, passes](const CampaignProgress& p) {
        options.progress(passes + p.done / static_cast<int>(jobs.size()));
      };
    const CampaignResult result = run_campaign(runner, jobs, {}, campaign);
    for (PassReading reading : result.readings) {
      reading.pass += passes;
      all.push_back(std::move(reading));
    }
    passes += campaign.passes;

    out.networks.clear();
    out.slowness = 1;
    out.cpu_share = result.cpu_share;
    error = 0;
    for (const auto& readings : by_network(at_usual_speed(all, options.reference_us), networks.size())) {
      out.networks.push_back(join(readings));
      error = std::max(error, out.networks.back().total.median_error());
      if (options.reference_us > 0)
        out.slowness =
            std::max(out.slowness, device::median(collect(readings, [](const auto& r) { return r.reference_us; })) /
                                       options.reference_us);
    }
  }
  return out;
}

}  // namespace fdi::profile
