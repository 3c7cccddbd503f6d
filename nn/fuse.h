// Rewrites of a spec that keep its outputs: what training and inference run instead of the spec that is stored.
// Layers that remain keep their names, so parameters stay the same tensors.
#pragma once
#include "nn/network.h"
#include "nn/spec.h"

namespace fdi::nn {

// A relu that alone reads a conv2d, fc, batch_norm or add becomes attr.relu of that layer.
NetworkSpec fuse_relu(const NetworkSpec& spec);

struct FoldedNetwork {
  NetworkSpec spec;
  Parameters parameters;
};
// A batch_norm that alone reads a conv2d or fc (without relu) goes into that layer's weight and bias, with the running
// statistics. The layer gets a bias where it had none, and the norm's relu where it had one.
FoldedNetwork fold_batch_norm(const NetworkSpec& spec, const Parameters& parameters);

// What inference runs: batch norm folded, relu fused, dropout gone. The spec alone, or with its weights.
NetworkSpec inference_spec(const NetworkSpec& spec);
FoldedNetwork inference_graph(const NetworkSpec& spec, const Parameters& parameters);

}  // namespace fdi::nn
