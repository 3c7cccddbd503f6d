#include "bench/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "bench/peers.h"
#include "core/cpu.h"
#include "core/threads.h"
#include "kernels/isa.h"

namespace fdi::bench {

nlohmann::json conditions() {
  return {{"cpu", core::cpu_info().model},
          {"isa", kernels::isa()},
          {"threads", core::threads()},
          {"openblas", openblas_version()},
          {"onednn", onednn_version()}};
}

std::string conditions_line() {
  return fmt::format("{}, {}, {} thread{}; {}; {}\n", core::cpu_info().model, kernels::isa(), core::threads(),
                     core::threads() == 1 ? "" : "s", openblas_version(), onednn_version());
}

nlohmann::json to_json(const device::Timing& timing) {
  return {{"median_ms", timing.median_us / 1e3}, {"min_ms", timing.min_us / 1e3}, {"rel_mad", timing.rel_mad}};
}

void expect_equal(std::span<const float> ours, std::span<const float> theirs, float tolerance, std::string_view where) {
  if (ours.size() != theirs.size())
    throw std::runtime_error(fmt::format("{}: {} numbers, but {} of the peer", where, ours.size(), theirs.size()));
  for (size_t i = 0; i < ours.size(); ++i)
    if (!(std::abs(ours[i] - theirs[i]) <= tolerance))
      throw std::runtime_error(fmt::format("{}: element {} is {}, but {} of the peer", where, i, ours[i], theirs[i]));
}

Ratios summarize_ratios(const std::vector<double>& ratios) {
  if (ratios.empty()) return {};
  double log_sum = 0;
  for (double r : ratios) log_sum += std::log(r);
  return {std::exp(log_sum / static_cast<double>(ratios.size())), *std::min_element(ratios.begin(), ratios.end())};
}

}  // namespace fdi::bench
