// The campaign's loop: orders, disturbed readings, progress.
#include "profile/campaign.h"

#include <algorithm>
#include <deque>
#include <map>

#include "core/progress.h"
#include "core/rng.h"

namespace fdi::profile {
namespace {

using device::median;

class Campaign {
 public:
  Campaign(Runner& runner, std::span<const device::Component> components, std::span<const PassReading> there,
           const CampaignOptions& options)
      : runner_(runner),
        components_(components),
        options_(options),
        start_(core::monotonic_seconds()),
        judge_(runner.identity().threads == 1) {
    for (const PassReading& r : there) accept(r);
  }

  CampaignResult run() {
    for (int pass = 0; pass < options_.passes && !result_.out_of_time; ++pass) run_pass(pass);
    // What the passes disagree about shows when all are there.
    for (int round = 0; round < kMaxAgain && !result_.out_of_time; ++round) {
      const std::vector<PassReading> all = readings();
      const std::vector<size_t> odd = outliers(all);
      if (odd.empty()) break;
      for (const size_t i : odd) {
        if (out_of_time()) break;
        ++result_.remeasured;
        keep({all[i].component, all[i].pass, measure(all[i].component)});
      }
    }
    result_.readings = readings();
    std::vector<double> shares;
    for (const PassReading& r : result_.readings) shares.push_back(r.reading.cpu_share);
    if (!shares.empty()) result_.cpu_share = median(std::move(shares));
    result_.minutes = seconds() / 60;
    return std::move(result_);
  }

 private:
  static constexpr int kMaxAgain = 3;
  struct Turn {
    size_t component;
    int again;  // how many times it was disturbed so far
  };

  void run_pass(int pass) {
    std::vector<size_t> order(components_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    core::Rng(options_.seed, core::Stream::kCampaign, pass).shuffle(order.begin(), order.end());
    std::deque<Turn> turns;
    for (const size_t i : order)
      if (!kept_.contains({i, pass})) turns.push_back({i, 0});
    while (!turns.empty() && !out_of_time()) {
      const Turn turn = turns.front();
      turns.pop_front();
      const device::Reading reading = measure(turn.component);
      // Again at the end of the pass, when the disturbance has gone. One that never goes is left as it is: the drift is
      // divided out, and the campaign's share of the processor tells.
      if (judge_.disturbed(reading) && turn.again < kMaxAgain && !always_disturbed()) {
        ++result_.remeasured;
        turns.push_back({turn.component, turn.again + 1});
        continue;
      }
      keep({turn.component, pass, reading});
    }
  }

  bool always_disturbed() const { return result_.remeasured > kFewReadings + taken_ / 2; }
  static constexpr int kFewReadings = 20;

  device::Reading measure(size_t component) {
    ++taken_;
    const device::Job job = device::with_caches(device::job_of(components_[component]), options_.cache);
    return runner_.measure(job, options_.measure);
  }

  void keep(const PassReading& reading) {
    if (options_.keep) options_.keep(reading);
    accept(reading);
    report();
  }
  void accept(const PassReading& reading) {
    judge_.add(reading.reading);
    kept_[{reading.component, reading.pass}] = reading;
  }

  void report() {
    if (!options_.progress) return;
    CampaignProgress progress;
    progress.done = static_cast<int>(kept_.size());
    progress.total = static_cast<int>(components_.size()) * options_.passes;
    progress.remeasured = result_.remeasured;
    progress.seconds_left = seconds() / taken_ * (progress.total - progress.done);
    if (options_.minutes > 0)
      progress.seconds_left = std::min(progress.seconds_left, options_.minutes * 60 - seconds());
    options_.progress(progress);
  }

  double seconds() const { return core::monotonic_seconds() - start_; }
  bool out_of_time() {
    if (options_.minutes > 0 && seconds() >= options_.minutes * 60) result_.out_of_time = true;
    return result_.out_of_time;
  }

  std::vector<PassReading> readings() const {
    std::vector<PassReading> all;
    for (const auto& [place, reading] : kept_) all.push_back(reading);
    return all;
  }

  Runner& runner_;
  std::span<const device::Component> components_;
  const CampaignOptions& options_;
  double start_;
  Judge judge_;
  std::map<std::pair<size_t, int>, PassReading> kept_;  // by component and pass
  int taken_ = 0;
  CampaignResult result_;
};

}  // namespace

CampaignResult run_campaign(Runner& runner, std::span<const device::Component> components,
                            std::span<const PassReading> there, const CampaignOptions& options) {
  return Campaign(runner, components, there, options).run();
}

}  // namespace fdi::profile
