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
  Campaign(Runner& runner, std::span<const device::Job> jobs, std::span<const PassReading> there,
           const CampaignOptions& options)
      : runner_(runner),
        jobs_(jobs),
        options_(options),
        measure_(options.measure),
        passes_(options.passes),
        start_(options.seconds()),
        judge_(runner.identity().threads == 1, options.reference_us) {
    for (const PassReading& r : there) {
      accept(r);
      judge_.add(r.reading);
    }
  }

  CampaignResult run() {
    for (int pass = 0; pass < passes_; ++pass) {
      const double begin = seconds();
      run_pass(pass);
      ++result_.passes;
      fit_into_time(seconds() - begin);
    }
    // What the passes disagree about shows when all are there.
    for (int round = 0; round < kMaxAgain; ++round) {
      const std::vector<PassReading> all = readings();
      const std::vector<size_t> odd = outliers(all);
      if (odd.empty()) break;
      for (const size_t i : odd) {
        if (out_of_time()) break;
        ++result_.remeasured;
        keep({all[i].job, all[i].pass, measure(all[i].job)});
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
  static constexpr double kMostAlone = 5;  // seconds
  static constexpr int kMostAloneReadings = 1000;
  struct Turn {
    size_t job;
    int again;  // how many times it was disturbed so far
  };

  void run_pass(int pass) {
    std::vector<size_t> order(jobs_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    core::Rng(options_.seed, core::Stream::kCampaign, pass).shuffle(order.begin(), order.end());
    std::deque<Turn> turns;
    for (const size_t i : order)
      if (!kept_.contains({i, pass})) turns.push_back({i, 0});
    while (!turns.empty()) {
      const Turn turn = turns.front();
      turns.pop_front();
      const double begin = seconds();
      const device::Reading reading = measure(turn.job);
      // Again at the end of the pass, when the disturbance has gone. One that never goes is left as it is: it is
      // divided out as well as may be, and the campaign's share of the processor tells. Where there is no time for all
      // passes, another one of everything says more.
      if (judge_.disturbed(reading) && passes_ == options_.passes && !always_disturbed() &&
          (turns.empty() ? again_alone(seconds() - begin) : turn.again < kMaxAgain)) {
        ++result_.remeasured;
        turns.push_back({turn.job, turn.again + 1});
        continue;
      }
      keep({turn.job, pass, reading});
    }
  }

  // Nothing else is left to do until the disturbance has gone: whether the job is measured on.
  bool again_alone(double took_seconds) {
    ++alone_;
    alone_seconds_ += took_seconds;
    return alone_seconds_ < kMostAlone && alone_ < kMostAloneReadings;
  }

  // After a pass that took so long: how many there can be.
  void fit_into_time(double pass_seconds) {
    if (options_.minutes <= 0 || pass_seconds < kTooShort) return;
    const double affordable = (options_.minutes * 60 - seconds()) / pass_seconds;
    constexpr int kAtLeast = 2, kWanted = 4;
    if (result_.passes == 1 && affordable < kWanted - 1)
      measure_.max_runs = std::max(measure_.min_runs, static_cast<int>(measure_.max_runs * affordable / (kWanted - 1)));
    passes_ = std::clamp(result_.passes + static_cast<int>(std::max(0.0, affordable)), kAtLeast, options_.passes);
    if (result_.passes == 1) passes_ = std::max(passes_, std::min(kWanted, options_.passes));
  }
  static constexpr double kTooShort = 0.01;  // of a resumed campaign: the pass was there already

  // Of a machine where four of five readings are disturbed the fifth is still worth having.
  bool always_disturbed() const { return result_.remeasured - alone_ > kFewReadings + kMostDisturbed * taken_; }
  static constexpr double kFewReadings = 20, kMostDisturbed = 0.75;

  device::Reading measure(size_t job) {
    ++taken_;
    device::Reading reading = runner_.measure(jobs_[job], measure_);
    judge_.add(reading);
    return reading;
  }

  void keep(const PassReading& reading) {
    if (options_.keep) options_.keep(reading);
    accept(reading);
    report();
  }
  void accept(const PassReading& reading) { kept_[{reading.job, reading.pass}] = reading; }

  void report() {
    if (!options_.progress) return;
    CampaignProgress progress;
    progress.done = static_cast<int>(kept_.size());
    progress.total = static_cast<int>(jobs_.size()) * passes_;
    progress.remeasured = result_.remeasured;
    progress.seconds_left = seconds() / taken_ * (progress.total - progress.done);
    options_.progress(progress);
  }

  double seconds() const { return options_.seconds() - start_; }
  bool out_of_time() const { return options_.minutes > 0 && seconds() >= options_.minutes * 60; }

  std::vector<PassReading> readings() const {
    std::vector<PassReading> all;
    for (const auto& [place, reading] : kept_) all.push_back(reading);
    return all;
  }

  Runner& runner_;
  std::span<const device::Job> jobs_;
  const CampaignOptions& options_;
  device::MeasureOptions measure_;
  int passes_;
  double start_;
  Judge judge_;
  std::map<std::pair<size_t, int>, PassReading> kept_;  // by job and pass
  int taken_ = 0;
  int alone_ = 0;  // readings of a job that nothing else was left beside
  double alone_seconds_ = 0;
  CampaignResult result_;
};

}  // namespace

CampaignResult run_campaign(Runner& runner, std::span<const device::Job> jobs, std::span<const PassReading> there,
                            const CampaignOptions& options) {
  return Campaign(runner, jobs, there, options).run();
}

}  // namespace fdi::profile
