// MaskedCritic: the network to be compressed as it trains during the search: each example has units of its own that are
// switched off. Called by Search only.
#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "nn/loss.h"
#include "nn/network.h"
#include "nn/unit_groups.h"

namespace fdi::compress {

// Bernoulli draws: 1 where rng < probability[unit]. (examples, units), from streams named by seed, draw and example.
std::vector<float> draw_masks(std::span<const float> probability, int examples, uint64_t seed, uint64_t draw);

class MaskedCritic {
 public:
  // Refers to `parameters`. A mask stands before every layer that reads units; no unit is scaled up for those that go.
  MaskedCritic(const nn::NetworkSpec& spec, nn::Parameters& parameters, int batch);

  // Masks (batch, units): of a unit at all its pixels, steps and readers. `training`: dropout draws, batch norm uses
  // the batch's statistics. Throws Error for a label that is out of range.
  nn::LossResult forward(std::span<const float> masks, const float* images, std::span<const int> labels,
                         std::span<const int> lengths, bool training, uint64_t seed, uint64_t step);
  std::span<const double> losses() const { return losses_; }  // of each example
  // After forward in training: the gradient of the mean loss.
  std::span<const float> backward(bool with_mask_slopes = false);
  // After backward with them: d mean loss / d mask, (batch, units). 0 for the units of a gru or lstm, whose states are
  // masked on the way: see recurrent().
  std::span<const float> mask_slopes() const { return slopes_; }
  bool any_recurrent() const { return std::ranges::count(recurrent_, true) > 0; }
  bool recurrent(int unit) const { return recurrent_[static_cast<size_t>(unit)]; }
  const nn::NetworkSpec& spec() const { return network_->spec(); }

 private:
  struct Place {
    int layer;                   // of the network that runs: a mask, gru or lstm
    std::vector<int> unit;       // by channel
    std::vector<float> factor;   // (batch, channels)
    std::vector<float> slope{};  // d mean loss / d factor; empty for a gru or lstm
  };
  void insert_masks(const nn::NetworkSpec& fused);

  nn::NetworkSpec masked_;
  std::vector<Place> places_;
  std::vector<const float*> factors_;  // by layer, for Pass::masks
  std::vector<float*> place_slopes_;   // by layer, for Pass::mask_gradients
  std::vector<float> slopes_;
  std::vector<bool> recurrent_;  // by unit
  int units_ = 0;
  std::unique_ptr<nn::Network> network_;
  nn::SoftmaxLoss loss_;
  std::vector<double> losses_;
  std::vector<float> gradient_;
  nn::Pass pass_;
  core::Tensor logits_;
};

}  // namespace fdi::compress
