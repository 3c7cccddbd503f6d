// Parameters: the flat block of weights and how each tensor starts.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "nn/network.h"

namespace fdi::nn {
namespace {

void draw(std::span<float> values, const ParameterSpec& spec, core::Rng rng) {
  switch (spec.init) {
    case Init::kZeros:
      std::fill(values.begin(), values.end(), 0.0F);
      break;
    case Init::kOnes:
      std::fill(values.begin(), values.end(), 1.0F);
      break;
    case Init::kHeNormal: {
      const auto deviation = static_cast<float>(std::sqrt(2.0 / spec.fan_in));
      for (float& v : values) v = deviation * rng.normal();
      break;
    }
    case Init::kUniform: {
      const auto bound = static_cast<float>(1.0 / std::sqrt(spec.fan_in));
      for (float& v : values) v = rng.uniform(-bound, bound);
      break;
    }
  }
}

// By layer: whether a ReLU cuts its output, in the layer or behind it; batch norm and dropout may stand between.
std::vector<bool> feed_relu(const NetworkSpec& spec) {
  std::vector<bool> feeds(spec.layers.size());
  for (size_t i = spec.layers.size(); i-- > 0;) {
    const LayerSpec& layer = spec.layers[i];
    if (layer.attr.relu) feeds[i] = true;
    const bool passes = layer.op == Op::kBatchNorm || layer.op == Op::kDropout || layer.op == Op::kChannelDropout ||
                        layer.op == Op::kMask || layer.op == Op::kFlatten || layer.op == Op::kReshape;
    if (layer.op != Op::kRelu && !(passes && feeds[i])) continue;
    for (const int input : layer.inputs)
      if (input != LayerSpec::kInput) feeds[static_cast<size_t>(input)] = true;
  }
  return feeds;
}

}  // namespace

std::vector<Parameters::Entry> Parameters::list(const NetworkSpec& spec) {
  const std::vector<Shape> shapes = output_shapes(spec);
  const std::vector<bool> feeds = feed_relu(spec);
  std::vector<Entry> entries;
  int64_t offset = 0;
  for (const bool trainable : {true, false})
    for (size_t i = 0; i < spec.layers.size(); ++i) {
      LayerSpec layer = spec.layers[i];
      layer.attr.relu = feeds[i];
      for (const ParameterSpec& p : op_info(layer.op).parameters(layer, input_shapes(spec, shapes, i))) {
        if (p.trainable != trainable) continue;
        entries.push_back({layer.name + "." + p.name, p, static_cast<int>(i), offset});
        offset += p.shape.size();
      }
    }
  return entries;
}

Parameters::Parameters(const NetworkSpec& spec) : entries_(list(spec)) {
  int64_t count = 0;
  for (const Entry& e : entries_) {
    count += e.spec.shape.size();
    if (e.spec.trainable) trainable_ = count;
  }
  block_ = core::Arena(core::Arena::padded_bytes(count));
  all_ = {block_.floats(count), static_cast<size_t>(count)};
}

const Parameters::Entry* Parameters::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

void Parameters::initialize(uint64_t seed) {
  for (size_t i = 0; i < entries_.size(); ++i)
    draw(tensor(entries_[i]).span(), entries_[i].spec, core::Rng(seed, core::Stream::kInit, i));
}

}  // namespace fdi::nn
