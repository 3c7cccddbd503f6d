// A small network with DeepSense's structure: two sensors sliced from one input, a branch of convolutions each, joined,
// convolved, flattened per step, two GRUs, the mean over time.
#pragma once
#include <string>

#include "nn/builder.h"

namespace fdi::nn {

// Input (5 steps, 2 sensors * 12 values * 1 channel). by_channels: the branches, of different widths, are joined along
// channels; else along another axis, as DeepSense does it, with equal widths.
inline NetworkSpec deepsense_like(bool by_channels) {
  SpecBuilder b("deepsense-like", {5, 24});
  const auto conv = [&](const std::string& name, int units, std::array<int, 2> kernel, std::array<int, 2> stride,
                        Padding padding) {
    b.add(Op::kConv2d, name, {.units = units, .kernel = kernel, .stride = stride, .padding = padding, .bias = false});
    b.add(Op::kBatchNorm, name + "_bn");
    b.add(Op::kRelu, name + "_relu");
    b.add(Op::kChannelDropout, name + "_dropout", {.rate = 0.2F});
  };
  const int widths[2][2] = {{6, 5}, {4, 7}};
  std::vector<int> branches;
  for (int s = 0; s < 2; ++s) {
    const std::string sensor = s == 0 ? "acc" : "gyro";
    b.add_on({LayerSpec::kInput}, Op::kSlice, sensor, {.axis = 1, .begin = 12 * s, .end = 12 * s + 12});
    b.add(Op::kReshape, sensor + "_image", {.shape = {5, 1, 12, 1}});
    conv(sensor + "_conv1", widths[s][0], {1, 4}, {1, 2}, Padding::kValid);                    // 1 x 5
    conv(sensor + "_conv2", by_channels ? widths[s][1] : 6, {1, 3}, {1, 1}, Padding::kValid);  // 1 x 3
    branches.push_back(b.last());
  }
  b.add_on(branches, Op::kConcat, "sensors", {.axis = by_channels ? 3 : 1});
  conv("merge", 8, {2, 2}, {1, 1}, Padding::kSame);
  b.add(Op::kReshape, "features", {.shape = {5, by_channels ? 24 : 48}});
  b.add(Op::kGru, "gru1", {.units = 9});
  b.add(Op::kDropout, "gru1_dropout", {.rate = 0.5F});
  b.add(Op::kGru, "gru2", {.units = 10, .reset_after = false});
  b.add(Op::kTimeMean, "mean");
  b.add(Op::kFc, "fc", {.units = 6});
  return b.take();
}

}  // namespace fdi::nn
