// Network: a spec bound to weights with all memory planned for one batch size. forward/backward allocate nothing.
// Training keeps every activation; inference reuses buffers as soon as the last reader is done, and holds its own
// packed copy of the weights, so that the Parameters may be freed.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/arena.h"
#include "nn/layer.h"
#include "nn/spec.h"

namespace fdi::nn {

// All weights of a network in one flat block: first the trainable ones, then the state (running statistics).
class Parameters {
 public:
  struct Entry {
    std::string name;  // "conv1_1.weight"
    ParameterSpec spec;
    int layer;
    int64_t offset;  // into all()
  };
  static std::vector<Entry> list(const NetworkSpec& spec);  // what `spec` needs, without any memory for it
  explicit Parameters(const NetworkSpec& spec);             // zeroed
  void initialize(uint64_t seed);
  std::span<float> all() { return all_; }
  std::span<const float> all() const { return all_; }
  std::span<float> trainable() { return all_.first(static_cast<size_t>(trainable_)); }
  const std::vector<Entry>& entries() const { return entries_; }
  Tensor tensor(const Entry& e) { return {all_.data() + e.offset, e.spec.shape}; }
  core::ConstTensor tensor(const Entry& e) const { return {all_.data() + e.offset, e.spec.shape}; }
  const Entry* find(std::string_view name) const;  // "conv1_1.weight"; null: none

 private:
  std::vector<Entry> entries_;
  core::Arena block_;
  std::span<float> all_;
  int64_t trainable_ = 0;
};

enum class Mode { kTraining, kInference };

class Network {
 public:
  // For core::threads(), kernels::isa() and gemm_provider() as they are now: to run it under another ISA or provider is
  // an Error, as is a spec that does not fit. Training keeps referring to `parameters`; inference does not.
  Network(const NetworkSpec& spec, Parameters& parameters, int batch, Mode mode, bool want_input_gradient = false);
  ~Network();

  Tensor input();  // (batch, input shape): fill it, then forward, which leaves it as it is
  // Output (pass.batch, output shape), valid until the next forward. pass.batch may be less than the planned batch.
  // With pass.training = false a training network evaluates.
  Tensor forward(const Pass& pass);
  // After a forward with the same pass. Fills gradients(); dy (pass.batch, output shape) may be overwritten.
  void backward(const Pass& pass, Tensor dy);
  std::span<float> gradients();  // aligned with Parameters::trainable()
  Tensor input_gradient();       // null data unless want_input_gradient

  struct Memory {        // bytes
    size_t weights;      // inference: the network's own; training: 0, they are Parameters'
    size_t input;        // and its gradient, where wanted
    size_t activations;  // inference: of a chain, the two largest neighbours; training: and their gradients
    size_t gradients;    // of the weights
    size_t state;        // what layers keep from forward to backward
    size_t workspace;
    size_t total() const { return weights + input + activations + gradients + state + workspace; }
  };
  Memory memory() const;
  // memory() of such a network, which is not made: takes no memory to speak of.
  static Memory plan(const NetworkSpec& spec, int batch, Mode mode);
  int batch() const;  // as planned
  const NetworkSpec& spec() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdi::nn
