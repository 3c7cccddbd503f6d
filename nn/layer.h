// Layer: one op bound to its weights, forward and backward. OpInfo: what is known of an op without building it.
// One file per op defines both; nn/ops.cc lists them. Called by Network only.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/shape.h"
#include "kernels/gemm.h"
#include "nn/spec.h"

namespace fdi::nn {

using core::Tensor;

enum class Init {
  kZeros,
  kOnes,
  kHeNormal,  // N(0, 2 / fan_in): the ReLU behind it halves the variance
  kUniform,   // U(-a, a), a = 1 / sqrt(fan_in): linear layers; recurrent ones give their hidden units as fan_in
};

struct ParameterSpec {
  std::string name;  // within the layer: "weight", "bias", "running_mean"
  Shape shape;
  Init init = Init::kZeros;
  int fan_in = 1;
  bool trainable = true;  // false: state that training updates without a gradient (running statistics)
};

// What holds for one forward/backward pair of a whole network.
struct Pass {
  int batch = 0;                   // examples in this batch, at most the planned number
  bool training = false;           // dropout draws, batch norm uses the batch's statistics
  uint64_t seed = 0, step = 0;     // name the random stream of this step
  std::span<const int> lengths{};  // valid steps of each example's sequence; empty: all steps are valid
  // By layer: factors (batch, channels) of what a mask passes on; of a gru or lstm 0 or 1, of the state that its units
  // hand on. Empty, or null for a layer: nothing is masked.
  std::span<const float* const> masks{};
  // By layer: where backward leaves d loss / d factor of a mask, (batch, channels). Empty, or null: not wanted.
  std::span<float* const> mask_gradients{};
  const std::function<void(int layer)>* after_layer = nullptr;  // inference and tests: called when a layer has run
  int layer = 0;                   // set by Network: the index of the running layer, its part of the stream's name
  kernels::Workspace workspace{};  // set by Network
  const float* mask() const { return masks.empty() ? nullptr : masks[static_cast<size_t>(layer)]; }
  float* mask_gradient() const { return mask_gradients.empty() ? nullptr : mask_gradients[static_cast<size_t>(layer)]; }
};

class Layer {
 public:
  virtual ~Layer() = default;
  // Values and gradients in the order of OpInfo::parameters; grads of what is not trainable have null data.
  // Inference: grads is empty and values are the Network's own copies.
  virtual void bind(std::span<const Tensor> values, std::span<const Tensor> grads) {}
  // Inference only, where not 0: pack() replaces bind(). `packed` belongs to the Network, the values are gone after it.
  virtual int64_t packed_floats() const { return 0; }
  virtual void pack(std::span<const Tensor> values, float* packed) {}
  virtual int64_t state_floats(int batch) const { return 0; }  // kept from forward to backward
  virtual void bind_state(float* state) {}
  virtual size_t workspace_bytes(int batch, int threads, bool training) const { return 0; }

  // x[i] (batch, in shape i), y (batch, out shape).
  virtual void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept = 0;
  // dy may be overwritten; dx[i].data is null where no gradient is wanted, else overwritten in full.
  virtual void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                        std::span<const Tensor> dx) noexcept = 0;
};

struct OpInfo {
  Op op;
  const char* name;
  int min_inputs, max_inputs;
  std::vector<const char*> attributes;  // JSON keys that the op reads; those without a sensible default are `required`
  std::vector<const char*> required;
  // Throws Error where the shapes do not fit. The number of inputs, the range of each attribute and the size of the
  // result are checked by nn::output_shape, its only caller.
  Shape (*output_shape)(const LayerSpec&, std::span<const Shape> in);
  // attr.relu: a ReLU follows, in the layer or as one of its own; how the weights start may depend on it.
  std::vector<ParameterSpec> (*parameters)(const LayerSpec&, std::span<const Shape> in);
  int64_t (*flops)(const LayerSpec&, std::span<const Shape> in);  // per example; one multiply-add = 2
  std::unique_ptr<Layer> (*make)(const LayerSpec&, std::span<const Shape> in);
  bool alias = false;  // flatten, reshape: the output is the input's memory under another shape; make returns null
};

// For ops that have neither.
inline std::vector<ParameterSpec> no_parameters(const LayerSpec&, std::span<const Shape>) { return {}; }
inline int64_t no_flops(const LayerSpec&, std::span<const Shape>) { return 0; }

const OpInfo& op_info(Op op);
std::span<const OpInfo* const> all_ops();

}  // namespace fdi::nn
