// The campaign's loop: orders, disturbed readings, progress.
#include "profile/campaign.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "core/progress.h"
#include "core/rng.h"
#include "profile/statistics.h"

namespace fdi::profile {
namespace {

class Campaign {
 public:
  Campaign(Runner& runner, std::span<const device::Job> jobs, std::span<const PassReading> there,
           const CampaignOptions& options)
      : runner_(runner),
        jobs_(jobs),
        options_(options),
        measure_(options.measure),
        start_(options.seconds()),
        judge_(runner.identity().threads == 1, options.reference_us),
        pace_(jobs.size()) {
    core::Rng rng(options.seed, core::Stream::kCampaign, -1);
    for (Pace& pace : pace_) {
      pace.credit = rng.uniform();  // not all that take long in the same passes
      pace.more = options.passes;
      pace.all = options.minutes <= 0;
    }
    for (const PassReading& r : there) {
      accept(r);
      judge_.add(r.reading);
      pace_[r.job].seconds = r.reading.total.mean_us * 1e-6 * r.reading.total.runs;
    }
    if (!there.empty() && options.minutes > 0) share_out_time(options.passes);
  }

  CampaignResult run() {
    for (int pass = 0; pass < options_.passes; ++pass) {
      run_pass(pass);
      if (options_.minutes > 0) share_out_time(options_.passes - pass - 1);
    }
    // What the passes disagree about shows when all are there.
    for (int round = 0; options_.outliers_again && round < kMaxAgain; ++round) {
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
    result_.passes = options_.passes;
    for (const Pace& pace : pace_) result_.passes = std::min(result_.passes, pace.made);
    return std::move(result_);
  }

 private:
  static constexpr int kMaxAgain = 3;
  static constexpr double kMostAlone = 5;  // seconds
  static constexpr int kMostAloneReadings = 1000;
  static constexpr int kAtLeast = 2;  // readings of a job, however short the time is
  struct Turn {
    size_t job;
    int again;  // how many times it was disturbed so far
  };
  struct Pace {          // of a job
    int made = 0;        // readings
    double more = 0;     // that are to come
    bool all = true;     // there is time for every pass
    double share = 1;    // of the passes that are left
    double credit = 0;   // shares that have come together; it is measured when they make 1
    double seconds = 0;  // that a reading takes, the least so far; 0: not known yet
    bool timed = false;  // here, not only told by an earlier call's reading
  };

  void run_pass(int pass) {
    std::vector<size_t> order(jobs_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    core::Rng(options_.seed, core::Stream::kCampaign, pass).shuffle(order.begin(), order.end());
    std::deque<Turn> turns;
    for (const size_t i : order)
      if (!kept_.contains({i, pass}) && takes_turn(pace_[i])) turns.push_back({i, 0});
    while (!turns.empty()) {
      const Turn turn = turns.front();
      turns.pop_front();
      if (out_of_time() && pace_[turn.job].made >= kAtLeast) continue;
      const double begin = seconds();
      const device::Reading reading = measure(turn.job);
      Pace& pace = pace_[turn.job];
      const double took = seconds() - begin;
      pace.seconds = pace.timed ? std::min(pace.seconds, took) : took;
      pace.timed = true;
      // Again at the end of the pass, when the disturbance has gone. One that never goes is left as it is: it is
      // divided out as well as may be, and the campaign's share of the processor tells. Where there is no time for all
      // passes, or nobody knows yet, another one says more.
      if (judge_.disturbed(reading) && pace.all && !always_disturbed() &&
          (turns.empty() ? again_alone(took) : turn.again < kMaxAgain)) {
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

  static bool takes_turn(Pace& pace) {
    pace.credit += pace.share;
    if (pace.credit < 1) return false;
    pace.credit -= 1;
    return true;
  }

  // What is left of the time to the jobs in equal parts, but to none more than it needs for all passes.
  void share_out_time(int passes_left) {
    if (passes_left == 0) return;
    double left = std::max(0.0, options_.minutes * 60 - seconds()), wanted_seconds = 0;
    const auto lacking = [&](const Pace& pace) { return std::clamp(options_.passes - pace.made, 0, passes_left); };
    for (const Pace& pace : pace_) wanted_seconds += pace.seconds * std::min(kWanted, lacking(pace));
    if (!shared_out_ && left < wanted_seconds) {
      const int runs = std::max(measure_.min_runs, static_cast<int>(measure_.max_runs * left / wanted_seconds));
      for (Pace& pace : pace_) pace.seconds *= static_cast<double>(runs) / measure_.max_runs;
      measure_.max_runs = runs;
    }
    shared_out_ = shared_out_ || wanted_seconds > 0;
    std::vector<Pace*> by_need;
    for (Pace& pace : pace_) by_need.push_back(&pace);
    const auto need = [&](const Pace& pace) { return pace.seconds * lacking(pace); };
    std::ranges::sort(by_need, [&](const Pace* a, const Pace* b) { return need(*a) < need(*b); });
    for (size_t i = 0; i < by_need.size(); ++i) {
      Pace& pace = *by_need[i];
      const double part = left / static_cast<double>(by_need.size() - i), all = lacking(pace);
      const bool enough = need(pace) <= part;  // or nobody knows
      pace.all = enough && pace.seconds > 0;
      pace.more = enough ? all : std::max(part / pace.seconds, std::min(all, double{kAtLeast} - pace.made));
      pace.share = enough ? 1 : std::clamp(pace.more / passes_left, 0.0, 1.0);
      left -= std::min(part, need(pace));
    }
  }
  static constexpr int kWanted = 3;  // passes after the first

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
  void accept(const PassReading& reading) {
    if (!kept_.insert_or_assign({reading.job, reading.pass}, reading).second) return;
    Pace& pace = pace_[reading.job];
    ++pace.made;
    pace.more = std::max(0.0, pace.more - 1);
  }

  void report() {
    if (!options_.progress) return;
    CampaignProgress progress;
    progress.done = static_cast<int>(kept_.size());
    double more = 0, known = 0, seconds_more = 0;
    for (const Pace& pace : pace_) {
      more += pace.more;
      known += pace.seconds > 0 ? pace.more : 0;
      seconds_more += pace.more * pace.seconds;
    }
    progress.total = progress.done + static_cast<int>(std::lround(more));
    progress.remeasured = result_.remeasured;
    progress.seconds_left = known > 0 ? seconds_more * more / known : 0;
    if (options_.minutes > 0)
      progress.seconds_left = std::clamp(options_.minutes * 60 - seconds(), 0.0, progress.seconds_left);
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
  double start_;
  Judge judge_;
  std::vector<Pace> pace_;                              // of each job
  bool shared_out_ = false;                             // the time, once at least
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
