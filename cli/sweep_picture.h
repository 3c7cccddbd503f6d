// What a sweep found: a line for each layer, and the picture (the paper's figure 1). Called by sweep.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/sweep_sizes.h"
#include "device/identity.h"
#include "device/measure.h"
#include "profile/plot.h"

namespace fdi::cli {

struct Swept {
  nn::Op op = nn::Op::kConv2d;
  nn::Padding padding = nn::Padding::kSame;
  std::vector<Vary> varies;           // empty: layers of their own (Table 1)
  std::vector<SweptLayer> layers;     // every combination, the last of `varies` first
  std::vector<device::Timing> times;  // of each layer
  device::Identity device;
};

// "in_channel 16  out_channel 16   10.6 MFLOP   85.20 us  8.03 ns/kFLOP  spread 0.4%": the sizes that vary.
std::string sweep_rows(const Swept& swept);
nlohmann::json sweep_json(const Swept& swept);  // of each layer its sizes and times

// Time along the last of `varies`, a curve for each combination of the others; a single curve beside one in proportion
// to FLOPs. Of layers of their own two panels of bars: time and FLOPs.
std::vector<profile::Figure> sweep_figures(const Swept& swept);
constexpr size_t kMostInKey = 12;  // curves that the key names; of more it names every so manieth
size_t curves_of(const Swept& swept);

}  // namespace fdi::cli
