// SamplingScope: which components a profile draws from, as data. By default the paper's Table 2 in single components;
// with networks, what they become when their layers are narrowed at random. Read from --scope FILE, kept with each run.
#pragma once
#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "nn/spec.h"

namespace fdi::profile {

struct Range {
  int low = 1, high = 1;  // both ends belong to it
  bool operator==(const Range&) const = default;
};

struct SamplingScope {
  std::vector<nn::Op> ops;  // only these; empty: every op of the networks, or conv2d, fc, gru and lstm
  // Single components (Table 2). Convolutions are square or not, of both paddings, and followed by a ReLU, as fc is.
  Range image{24, 225}, channel{1, 256}, fc_dim{1, 4096}, rnn_dim{1, 512};
  std::vector<std::array<int, 2>> kernels{{2, 2}, {3, 3}, {4, 4}, {5, 5}, {2, 3}};
  std::vector<int> strides{1, 2}, steps{8, 10, 15, 20};
  // Not empty: these networks, at random widths: from 1 to what they are there, in some draws up to the next multiple
  // of 32, where compress::expand_joint may widen them to (see Sampler).
  std::vector<nn::NetworkSpec> networks;
  // Larger components are not drawn: Table 2's largest convolution has 166 GFLOP, seconds for one run.
  double max_mflop = 4000;
  // Every width equally likely, as Table 2's "random combination" reads. Else half of the draws have all their widths
  // at multiples of 2, 4, 8, 16 or 32: with both widths drawn alone, one in 256 layers would have both at multiples
  // of 16.
  bool uniform = false;
  bool operator==(const SamplingScope&) const = default;
};

nlohmann::json scope_to_json(const SamplingScope& scope);
// Members that are missing keep their defaults. Throws Error naming `where` for unknown members and bad values.
SamplingScope scope_from_json(const nlohmann::json& json, const std::string& where);

nn::Op op_from_name(const std::string& name);  // throws Error with the known names

}  // namespace fdi::profile
