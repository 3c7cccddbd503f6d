// Network: a spec bound to weights with all memory planned for one batch size. forward/backward allocate nothing.
// Training keeps every activation; inference reuses buffers as soon as the last reader is done, and holds its own
// packed copy of the weights, so that the Parameters may be freed.
#pragma once
#include <memory>
#include <span>
#include <string>
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
  explicit Parameters(const NetworkSpec& spec);  // zeroed
  void initialize(uint64_t seed);
  std::span<float> all() { return all_; }
  std::span<float> trainable() { return all_.first(static_cast<size_t>(trainable_)); }
  const std::vector<Entry>& entries() const { return entries_; }
  Tensor tensor(const Entry& e) { return {all_.data() + e.offset, e.spec.shape}; }

 private:
  std::vector<Entry> entries_;
  core::Arena block_;
  std::span<float> all_;
  int64_t trainable_ = 0;
};

enum class Mode { kTraining, kInference };

class Network {
 public:
  // Uses core::threads() and kernels::isa() as they are now. Throws Error for a spec that does not fit.
  Network(const NetworkSpec& spec, Parameters& parameters, int batch, Mode mode);
  ~Network();

  Tensor input();                              // (batch, input shape): fill it, then forward
  Tensor forward(const Pass& pass);            // output (pass.batch, output shape); pass.workspace is set here
  void backward(const Pass& pass, Tensor dy);  // fills gradients(); dy (batch, output shape) may be overwritten
  std::span<float> gradients();                // aligned with Parameters::trainable()
  Tensor input_gradient();                     // computed only where asked for by want_input_gradient()

  struct Memory {
    size_t weights, activations, gradients, state, workspace;  // bytes
    size_t total() const { return weights + activations + gradients + state + workspace; }
  };
  Memory memory() const;
  const NetworkSpec& spec() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdi::nn
