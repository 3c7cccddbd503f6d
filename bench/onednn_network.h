// A whole network made of oneDNN primitives, as the peer of nn::Network: layouts of oneDNN's own choice, weights
// reordered beforehand, ReLU as a post-operation. Called by the conv and model benchmarks.
#pragma once
#include <memory>
#include <span>

#include "nn/network.h"
#include "nn/spec.h"

namespace fdi::bench {

// What input() and output() hold: NHWC like ours, or whatever layout oneDNN likes best (no reordering is timed then).
enum class Ends { kPlain, kAny };

class OnednnNetwork {
 public:
  // Inference with the given weights on core::threads() threads. The spec must be fused (batch norms folded, see
  // nn/fuse.h) and a chain of conv2d, relu, pools, dropout, flatten, fc and add; throws core::Error for other ops and
  // where oneDNN was not built in.
  OnednnNetwork(const nn::NetworkSpec& fused, nn::Parameters& parameters, int batch, Ends ends = Ends::kPlain);
  ~OnednnNetwork();

  std::span<float> input();         // (batch, input shape)
  std::span<const float> output();  // (batch, output shape)
  void run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdi::bench
