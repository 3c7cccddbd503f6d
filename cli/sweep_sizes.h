// What a sweep varies: the sizes of one layer, as its flags name them, and the layers that they make. Called by sweep.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "device/component.h"

namespace fdi::cli {

// What a layer is made of: each name is a flag, and may be varied.
struct SweptLayer {
  int in_height = 24, in_width = 24, in_channel = 64, out_channel = 64, kernel_height = 3, kernel_width = 3, stride = 1,
      step = 20;
};
// "in_channel,out_channel=1..128:2": these fields together take each of these values.
struct Vary {
  std::vector<std::string> fields;
  int low = 0, high = 0, step = 1;
  int values() const { return (high - low) / step + 1; }
};

// "24x32"; "24" is both. Throws Error naming `flag` for what is no size.
std::pair<int, int> read_extent(const std::string& text, const std::string& flag);

// Throws Error for an op that cannot be swept, for sizes that the op lacks (naming those that it has) and empty ranges.
Vary read_vary(const std::string& text, nn::Op op);

// `layer` with every combination of the values of all `varies`; throws Error for more than 100000.
std::vector<SweptLayer> combine_sizes(const std::vector<Vary>& varies, const SweptLayer& layer);

// Throws Error where the window does not fit into the image.
device::Component swept_component(nn::Op op, const SweptLayer& layer, nn::Padding padding);

nlohmann::json sizes_json(nn::Op op, const SweptLayer& layer);  // the sizes that the op has, by name

}  // namespace fdi::cli
