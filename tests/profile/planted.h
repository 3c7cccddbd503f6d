// Components with times made by a known rule and known noise: what a fit has to find again.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/rng.h"
#include "profile/features.h"
#include "profile/sample.h"

namespace fdi::profile {

inline device::Component conv_component(int height, int width, int in_channel, int out_channel, int kernel = 3,
                                        int stride = 1, nn::Padding padding = nn::Padding::kSame) {
  device::Component c;
  c.layer.op = nn::Op::kConv2d;
  c.layer.name = "conv";
  c.layer.inputs = {nn::LayerSpec::kInput};
  c.layer.attr.units = out_channel;
  c.layer.attr.kernel = {kernel, kernel};
  c.layer.attr.stride = {stride, stride};
  c.layer.attr.padding = padding;
  c.in = {core::Shape{height, width, in_channel}};
  return c;
}

inline device::Component dims_component(nn::Op op, int in_dim, int out_dim, int step = 0) {
  device::Component c;
  c.layer.op = op;
  c.layer.name = "layer";
  c.layer.inputs = {nn::LayerSpec::kInput};
  c.layer.attr.units = out_dim;
  c.in = {step > 0 ? core::Shape{step, in_dim} : core::Shape{in_dim}};
  return c;
}

inline int draw(core::Rng& rng, int low, int high) {
  return low + static_cast<int>(rng.below(static_cast<uint32_t>(high - low + 1)));
}

using Time = std::function<double(const Structure&)>;

// `noise`: the standard deviation of each pass's relative error, log-normal.
inline Sample timed(const device::Component& component, const Time& time, core::Rng& rng, double noise,
                    int passes = 1) {
  Sample sample;
  sample.component = component;
  const double us = time(structure_of(component));
  for (int i = 0; i < passes; ++i) sample.pass_us.push_back(us * std::exp(noise * static_cast<double>(rng.normal())));
  std::vector<double> sorted = sample.pass_us;
  std::sort(sorted.begin(), sorted.end());
  sample.time.median_us = sorted[sorted.size() / 2];
  return sample;
}

// Convolutions as in Table 2, smaller images.
inline SampleSet planted_convs(int count, const Time& time, double noise, uint64_t seed = 1, int passes = 1) {
  core::Rng rng(seed, core::Stream::kTest);
  SampleSet set;
  for (int i = 0; i < count; ++i) {
    const int kernel = draw(rng, 2, 5), stride = draw(rng, 1, 2);
    const device::Component c =
        conv_component(draw(rng, 8, 64), draw(rng, 8, 64), draw(rng, 1, 256), draw(rng, 1, 256), kernel, stride);
    set.samples.push_back(timed(c, time, rng, noise, passes));
  }
  return set;
}

inline std::vector<const Sample*> pointers(const SampleSet& set) {
  std::vector<const Sample*> out;
  for (const Sample& sample : set.samples) out.push_back(&sample);
  return out;
}

}  // namespace fdi::profile
