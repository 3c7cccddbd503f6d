// MaskedCritic: the network to be compressed as it trains during the search: each example has units of its own that are
// switched off. Called by Search only.
#pragma once
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
  std::span<const float> backward();  // after forward in training: the gradient of the mean loss
  const nn::NetworkSpec& spec() const { return network_->spec(); }

 private:
  struct Place {
    int layer;                  // of the network that runs: a mask, gru or lstm
    std::vector<int> unit;      // by channel
    std::vector<float> factor;  // (batch, channels)
  };
  void insert_masks(const nn::NetworkSpec& fused);

  nn::NetworkSpec masked_;
  std::vector<Place> places_;
  std::vector<const float*> factors_;  // by layer, for Pass::masks
  int units_ = 0;
  std::unique_ptr<nn::Network> network_;
  nn::SoftmaxLoss loss_;
  std::vector<double> losses_;
  std::vector<float> gradient_;
  nn::Pass pass_;
  core::Tensor logits_;
};

}  // namespace fdi::compress
