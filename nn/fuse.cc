// Each rewrite marks layers as gone; `without` then joins their readers to what they read.
#include "nn/fuse.h"

#include <algorithm>
#include <cmath>

namespace fdi::nn {
namespace {

std::vector<int> count_readers(const NetworkSpec& spec) {
  std::vector<int> readers(spec.layers.size());
  for (const LayerSpec& layer : spec.layers)
    for (const int input : layer.inputs)
      if (input != LayerSpec::kInput) ++readers[input];
  return readers;
}

// The spec less the layers that are gone, each of which has one input.
NetworkSpec without(const NetworkSpec& spec, const std::vector<bool>& gone) {
  NetworkSpec out{spec.name, spec.input, {}};
  std::vector<int> index(spec.layers.size());  // of the layer that stands in its place
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec layer = spec.layers[i];
    for (int& input : layer.inputs)
      if (input != LayerSpec::kInput) input = index[input];
    if (gone[i]) {
      index[i] = layer.inputs[0];
      continue;
    }
    index[i] = static_cast<int>(out.layers.size());
    out.layers.push_back(std::move(layer));
  }
  return out;
}

void copy_same(const Parameters& from, Parameters& to) {
  for (const Parameters::Entry& e : to.entries())
    if (const Parameters::Entry* same = from.find(e.name); same != nullptr)
      std::copy_n(from.tensor(*same).data, e.spec.shape.size(), to.tensor(e).data);
}

// weight (..., units) and bias (units) of `layer` take over what `norm` did: y = (x - mean) * scale + beta.
void fold(const LayerSpec& layer, const LayerSpec& norm, const Parameters& from, Parameters& to) {
  const auto get = [&](const char* name) { return from.tensor(*from.find(norm.name + "." + name)).data; };
  const float *gamma = get("gamma"), *beta = get("beta"), *mean = get("running_mean"), *var = get("running_var");
  const Tensor weight = to.tensor(*to.find(layer.name + ".weight"));
  float* bias = to.tensor(*to.find(layer.name + ".bias")).data;  // zeros where the layer had none
  const int units = weight.shape.back();
  for (int u = 0; u < units; ++u) {
    const double scale = gamma[u] / std::sqrt(double{var[u]} + norm.attr.epsilon);
    for (int64_t i = u; i < weight.size(); i += units) weight.data[i] = static_cast<float>(weight.data[i] * scale);
    bias[u] = static_cast<float>((double{bias[u]} - mean[u]) * scale + beta[u]);
  }
}

struct Folding {
  NetworkSpec spec;
  std::vector<std::pair<int, int>> pairs;  // layer, its norm: indices into the spec as it was
};

Folding fold_spec(const NetworkSpec& spec) {
  Folding out{spec, {}};
  const std::vector<int> readers = count_readers(spec);
  std::vector<bool> gone(spec.layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& norm = spec.layers[i];
    if (norm.op != Op::kBatchNorm || norm.inputs[0] == LayerSpec::kInput || readers[norm.inputs[0]] != 1) continue;
    LayerSpec& from = out.spec.layers[norm.inputs[0]];
    if ((from.op != Op::kConv2d && from.op != Op::kFc) || from.attr.relu) continue;
    from.attr.bias = true;
    from.attr.relu = norm.attr.relu;
    gone[i] = true;
    out.pairs.emplace_back(norm.inputs[0], static_cast<int>(i));
  }
  out.spec = without(out.spec, gone);
  return out;
}

NetworkSpec without_dropout(const NetworkSpec& spec) {
  std::vector<bool> gone(spec.layers.size());
  size_t left = spec.layers.size();
  for (size_t i = 0; i < spec.layers.size() && left > 1; ++i) {
    const Op op = spec.layers[i].op;
    gone[i] = op == Op::kDropout || op == Op::kChannelDropout || op == Op::kMask;
    left -= gone[i];
  }
  return without(spec, gone);
}

}  // namespace

NetworkSpec fuse_relu(const NetworkSpec& spec) {
  NetworkSpec out = spec;
  const std::vector<int> readers = count_readers(spec);
  std::vector<bool> gone(spec.layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& relu = spec.layers[i];
    if (relu.op != Op::kRelu || relu.inputs[0] == LayerSpec::kInput || readers[relu.inputs[0]] != 1) continue;
    LayerSpec& from = out.layers[relu.inputs[0]];
    if (from.op != Op::kConv2d && from.op != Op::kFc && from.op != Op::kBatchNorm && from.op != Op::kAdd) continue;
    from.attr.relu = true;
    gone[i] = true;
  }
  return without(out, gone);
}

FoldedNetwork fold_batch_norm(const NetworkSpec& spec, const Parameters& parameters) {
  Folding folding = fold_spec(spec);
  Parameters folded(folding.spec);
  copy_same(parameters, folded);
  for (const auto& [layer, norm] : folding.pairs) fold(spec.layers[layer], spec.layers[norm], parameters, folded);
  return {std::move(folding.spec), std::move(folded)};
}

NetworkSpec inference_spec(const NetworkSpec& spec) { return fold_spec(fuse_relu(without_dropout(spec))).spec; }

FoldedNetwork inference_graph(const NetworkSpec& spec, const Parameters& parameters) {
  return fold_batch_norm(fuse_relu(without_dropout(spec)), parameters);
}

}  // namespace fdi::nn
