// Component: one layer as inference runs it, with its input shapes: what is timed, stored and predicted. A network's
// time is the sum of its components'. Called by engines, the profile and the time model.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "nn/spec.h"

namespace fdi::device {

struct Component {
  nn::LayerSpec
      layer;  // fused (ReLU and batch norm inside, see nn/fuse.h); its inputs: kInput, as often as `in` is long
  std::vector<nn::Shape> in;  // without the batch, which is 1
  // Weights and activations of the whole network that the layer is part of: what passes through the caches between two
  // runs of the layer. Less than the layer's own: the layer alone (warm caches).
  int64_t network_bytes = 0;
  bool operator==(const Component&) const = default;
};

// Floats of weights, inputs and output of the layer, in bytes.
int64_t own_bytes(const Component& component);
// {"layer": {...}, "in": [[32, 32, 3]], "network_bytes": 0}; reading throws Error naming `where` for what does not fit.
nlohmann::json component_to_json(const Component& component);
Component component_from_json(const nlohmann::json& json, const std::string& where);

// What runs when `spec` infers, in order: batch norms folded, ReLUs fused, dropout and mere changes of shape gone.
// network_bytes is set to the sum of all weights and outputs and the input.
std::vector<Component> components(const nn::NetworkSpec& spec);

// What a runner is asked to time: networks ready to run (fused), which take turns; every layer is timed where it runs.
// A layer repeated by itself would be up to 20% faster than within a network: its loop counts are all that the branch
// predictor has to know then (measured on Zen 5).
struct Job {
  std::vector<nn::NetworkSpec> networks;
  int64_t touch_bytes = 0;  // other memory that passes through the caches before each network's turn
  bool plain_ends = false;  // input and output in NHWC (a whole network); else in the layouts the engine likes best
  bool operator==(const Job&) const = default;
};
// A network for each component, of one layer. All its inputs are the network's input: an add reads it twice. A network
// has one input, so a concat of several widths is timed as one of as many equal widths, whose sum differs by at most
// half an extent per input.
Job job_of(std::span<const Component> components);
Job job_of(const nn::NetworkSpec& spec);  // the whole network, fused
// The layers of all networks in order, those left out that only change a shape. network_bytes is that of the whole job.
std::vector<Component> components(const Job& job);
nlohmann::json job_to_json(const Job& job);
Job job_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace fdi::device
