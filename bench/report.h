// What every benchmark hands back: JSON for scripts, text for people. Called by cli/bench.cc.
#pragma once
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/measure.h"

namespace fdi::bench {

struct Report {
  nlohmann::json json;
  std::string text;
};

// The machine and the settings that the numbers hold for: processor, ISA, threads, versions of the peers.
nlohmann::json conditions();
std::string conditions_line();

// {median_ms, min_ms, rel_mad}
nlohmann::json to_json(const device::Timing& timing);

// A benchmark of something wrong is worse than none: throws std::runtime_error where the contenders' numbers differ by
// more than `tolerance`.
void expect_equal(std::span<const float> ours, std::span<const float> theirs, float tolerance, std::string_view where);

// Geometric mean and minimum of ratios (ours over the peer's): 0 for none.
struct Ratios {
  double geometric_mean = 0, minimum = 0;
};
Ratios summarize_ratios(const std::vector<double>& ratios);

}  // namespace fdi::bench
