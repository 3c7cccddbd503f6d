#include "compress/masked_critic.h"

#include <algorithm>
#include <map>

#include "core/rng.h"
#include "core/threads.h"
#include "nn/fuse.h"

namespace fdi::compress {

std::vector<float> draw_masks(std::span<const float> probability, int examples, uint64_t seed, uint64_t draw) {
  std::vector<float> masks(probability.size() * static_cast<size_t>(examples));
#pragma omp parallel for schedule(static) num_threads(core::threads())
  for (int b = 0; b < examples; ++b) {
    core::Rng rng(seed, core::Stream::kMask, draw, b);
    float* z = masks.data() + static_cast<size_t>(b) * probability.size();
    for (const float p : probability) *z++ = rng.uniform() < p ? 1.0F : 0.0F;
  }
  return masks;
}

MaskedCritic::MaskedCritic(const nn::NetworkSpec& spec, nn::Parameters& parameters, int batch)
    : loss_(batch, static_cast<int>(nn::output_shapes(spec).back().size())) {
  insert_masks(nn::fuse_relu(spec));
  network_ = std::make_unique<nn::Network>(masked_, parameters, batch, nn::Mode::kTraining);
  factors_.resize(masked_.layers.size());
  place_slopes_.resize(masked_.layers.size());
  recurrent_.resize(static_cast<size_t>(units_));
  for (Place& place : places_) {
    const auto layer = static_cast<size_t>(place.layer);
    place.factor.resize(place.unit.size() * static_cast<size_t>(batch));
    factors_[layer] = place.factor.data();
    if (masked_.layers[layer].op == nn::Op::kMask) {
      place.slope.resize(place.factor.size());
      place_slopes_[layer] = place.slope.data();
    } else {
      for (const int unit : place.unit)
        if (unit != nn::kFixedUnit) recurrent_[static_cast<size_t>(unit)] = true;
    }
  }
  gradient_.resize(static_cast<size_t>(batch) * static_cast<size_t>(nn::output_shapes(masked_).back().size()));
}

void MaskedCritic::insert_masks(const nn::NetworkSpec& fused) {
  const nn::UnitGroups groups = nn::unit_groups(fused);
  units_ = groups.units();
  masked_ = {fused.name, fused.input, {}};
  std::vector<int> index;     // by layer of `fused`: its place here
  std::map<int, int> behind;  // layer of `fused`: the mask that stands behind it
  const auto masks = [&](int layer) {
    const auto& units = groups.channels[static_cast<size_t>(layer)];
    return std::any_of(units.begin(), units.end(), [](int u) { return u != nn::kFixedUnit; });
  };
  for (size_t i = 0; i < fused.layers.size(); ++i) {
    nn::LayerSpec layer = fused.layers[i];
    const bool reads = layer.attr.units > 0;
    for (int& input : layer.inputs) {
      if (input == nn::LayerSpec::kInput) continue;
      const int from = input;
      input = index[static_cast<size_t>(from)];
      if (!reads || !masks(from)) continue;
      const auto [found, fresh] = behind.emplace(from, static_cast<int>(masked_.layers.size()));
      if (fresh) {
        masked_.layers.push_back({nn::Op::kMask, "mask/" + fused.layers[static_cast<size_t>(from)].name, {input}, {}});
        places_.push_back({found->second, groups.channels[static_cast<size_t>(from)], {}});
      }
      input = found->second;
    }
    index.push_back(static_cast<int>(masked_.layers.size()));
    // Recurrent units read each other.
    if ((layer.op == nn::Op::kGru || layer.op == nn::Op::kLstm) && masks(static_cast<int>(i)))
      places_.push_back({index.back(), groups.channels[i], {}});
    masked_.layers.push_back(std::move(layer));
  }
}

nn::LossResult MaskedCritic::forward(std::span<const float> masks, const float* images, std::span<const int> labels,
                                     std::span<const int> lengths, bool training, uint64_t seed, uint64_t step) {
  const auto batch = static_cast<int>(labels.size());
  CHECK(masks.size() == labels.size() * static_cast<size_t>(units_));
#pragma omp parallel for schedule(static) num_threads(core::threads())
  for (int b = 0; b < batch; ++b) {
    const float* z = masks.data() + int64_t{b} * units_;
    for (Place& place : places_) {
      float* to = place.factor.data() + b * std::ssize(place.unit);
      for (const int unit : place.unit) *to++ = unit == nn::kFixedUnit ? 1.0F : z[unit];
    }
  }
  pass_ = {.batch = batch, .training = training, .seed = seed, .step = step, .lengths = lengths, .masks = factors_};
  std::copy_n(images, batch * masked_.input.size(), network_->input().data);
  logits_ = network_->forward(pass_);
  const nn::LossResult result = loss_.evaluate(logits_, labels, gradient_.data());
  const auto losses = loss_.losses().first(labels.size());
  losses_.assign(losses.begin(), losses.end());
  return result;
}

std::span<const float> MaskedCritic::backward(bool with_mask_slopes) {
  if (with_mask_slopes) pass_.mask_gradients = place_slopes_;
  network_->backward(pass_, {gradient_.data(), logits_.shape});
  if (!with_mask_slopes) return network_->gradients();
  slopes_.assign(static_cast<size_t>(pass_.batch) * static_cast<size_t>(units_), 0);
  for (const Place& place : places_) {
    if (place.slope.empty()) continue;
    const float* from = place.slope.data();
    for (int b = 0; b < pass_.batch; ++b) {
      float* to = slopes_.data() + int64_t{b} * units_;
      for (const int unit : place.unit) {
        if (unit != nn::kFixedUnit && !recurrent(unit)) to[unit] += *from;
        ++from;
      }
    }
  }
  return network_->gradients();
}

}  // namespace fdi::compress
