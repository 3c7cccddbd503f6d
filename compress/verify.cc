#include "compress/verify.h"

#include <algorithm>
#include <array>

namespace fdi::compress {

std::vector<Candidate> choose_measured(double max_ms, const std::function<Keep(double ms)>& choose,
                                       const std::function<double(const Keep&)>& predict_ms,
                                       const std::function<std::vector<double>(const std::vector<Keep>&)>& measure_ms,
                                       const VerifyOptions& options) {
  // The choices lie around the middle of what the noise leaves to the slack.
  constexpr std::array kAround = {0.995, 0.98, 0.965};
  const double most_ms = (1 - kTimingNoise) * max_ms;
  std::vector<Candidate> all;
  const auto best = [&] {  // the slowest that keeps the budget; none: the fastest
    return std::ranges::max_element(all, [&](const Candidate& a, const Candidate& b) {
      const bool a_keeps = a.measured_ms <= most_ms, b_keeps = b.measured_ms <= most_ms;
      if (a_keeps != b_keeps) return b_keeps;
      return a_keeps ? a.measured_ms < b.measured_ms : a.measured_ms > b.measured_ms;
    });
  };
  double measured_per_predicted = 1;
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<Keep> fresh;
    for (const double part : kAround) {
      Keep keep = choose(part * max_ms / measured_per_predicted);
      const auto same = [&](const Candidate& c) { return c.keep == keep; };
      if (std::ranges::none_of(all, same) && std::ranges::find(fresh, keep) == fresh.end())
        fresh.push_back(std::move(keep));
    }
    if (fresh.empty()) break;  // the steps of the time allow nothing nearer
    const std::vector<double> ms = measure_ms(fresh);
    for (size_t i = 0; i < fresh.size(); ++i) {
      const double predicted = predict_ms(fresh[i]);
      all.push_back({std::move(fresh[i]), predicted, ms[i]});
    }
    const Candidate& now = *best();
    if (now.measured_ms <= most_ms && now.measured_ms >= (1 - options.slack) * max_ms) break;
    measured_per_predicted = now.measured_ms / now.predicted_ms;
  }
  best()->chosen = true;
  return all;
}

}  // namespace fdi::compress
