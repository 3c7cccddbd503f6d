// Compressor: the small recurrent network that looks at all weights of the critic (the network to be compressed) and
// tells for each unit the probability with which it is kept (DeepIoT, Yao et al. 2017). Called by Search only.
//   v_l = a_l^T M_l B_l (64), h_l = LSTM(v_1 .. v_l) (64), p_l = sigmoid(h_l T_l)
// M_l holds a column per unit: every weight that produces it, biases included; several producers of one unit, and the
// gates of a gru or lstm, are stacked by rows. Groups at the same depth whose columns are equally long (parallel
// branches) share a step: their columns stand side by side. All of it is one NetworkSpec of the engine's own layers.
#pragma once
#include <span>
#include <vector>

#include "nn/network.h"
#include "nn/unit_groups.h"

namespace fdi::compress {

class Compressor {
 public:
  static constexpr int kState = 64;

  // Other than 0.5, `start` adds a bias to h_l T_l, so that all p begin near it. Throws Error where the critic's
  // weights pass what one tensor may hold.
  Compressor(const nn::NetworkSpec& critic, const nn::UnitGroups& groups, uint64_t seed, double start = 0.5);

  // By unit: the probability of being kept, valid until the next call.
  std::span<const float> forward(const nn::Parameters& critic);
  // The same of the weights as they were at the last call: the compressor alone has changed.
  std::span<const float> forward_again();
  // After forward: the gradient of a loss whose gradient by unit is `dp`.
  std::span<const float> backward(std::span<const float> dp);

  nn::Parameters& parameters() { return *parameters_; }
  const nn::NetworkSpec& spec() const { return network_->spec(); }

  // Where a block of consecutive floats of M^T (unit, row), laid out one step after the other, comes from.
  struct Source {
    int64_t to;           // of the first float of the column
    int64_t entry;        // index into Parameters::entries()
    int64_t first, step;  // of the tensor's floats: first, first + step, ...
    int count;
  };

 private:
  std::vector<Source> sources_;
  std::vector<int> unit_;  // by output of the network: the unit
  std::unique_ptr<nn::Parameters> parameters_;
  std::unique_ptr<nn::Network> network_;
  std::vector<float> p_, dy_;
};

}  // namespace fdi::compress
