// A network made of XNNPACK's operators, one or more per layer, each set up once on memory planned beforehand. Shared
// by the files engine_xnnpack*.cc; everybody else asks make_engine("xnnpack").
#pragma once
#ifdef FDI_HAVE_XNNPACK
#include <pthreadpool.h>
#include <xnnpack.h>

#include <functional>
#include <limits>
#include <string_view>
#include <vector>

#include "core/arena.h"
#include "device/engine.h"

namespace fdi::device::xnnpack {

using nn::Op;
using nn::Shape;

struct Deleter {
  void operator()(xnn_operator_t op) const { xnn_delete_operator(op); }
  void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct LayerCall {
  const nn::LayerSpec& layer;
  std::vector<Shape> in;
  Shape out;
  const nn::Parameters& parameters;
  std::vector<const float*> x;
  float* y;

  const float* weight(std::string_view name) const;                     // null where the layer has none of that name
  float lowest() const { return layer.attr.relu ? 0.0F : -kInfinity; }  // of the output
};

class Network final : public Prepared {
 public:
  Network(const nn::NetworkSpec& fused, const nn::Parameters& parameters, int batch);
  std::span<float> input() override { return input_; }
  std::span<const float> output() override { return output_; }
  using Prepared::run;
  void run(const AfterLayer* after) override;
  static bool supports(Op op) { return is_alias(op) || function_of(op) != nullptr; }

 private:
  using LayerFunction = void (Network::*)(const LayerCall&);
  static LayerFunction function_of(Op op);  // null: not supported
  static bool is_alias(Op op) {             // the output is the input's memory
    return op == Op::kFlatten || op == Op::kReshape || op == Op::kDropout || op == Op::kChannelDropout;
  }

  // engine_xnnpack_layers.cc
  void convolution(const LayerCall& call);
  void fully_connected(const LayerCall& call);
  void batch_norm(const LayerCall& call);
  void pool(const LayerCall& call);
  void mean(const LayerCall& call);
  void relu(const LayerCall& call);
  void sigmoid(const LayerCall& call);
  void sum(const LayerCall& call);
  void concat(const LayerCall& call);
  void slice(const LayerCall& call);

  // The tensors of all layers, by layer; those that are never needed together share memory.
  std::vector<float*> place(const nn::NetworkSpec& fused, const std::vector<Shape>& shapes);
  // Creates an operator and sets it up: both functions of XNNPACK, each with its arguments but the operator.
  void add(const LayerCall& call, const std::function<xnn_status(xnn_operator_t*)>& create,
           const std::function<xnn_status(xnn_operator_t)>& setup);
  // Rows of `floats`, which lie `from_stride` and `to_stride` apart.
  void copy_rows(const LayerCall& call, int64_t rows, int64_t floats, const float* from, int64_t from_stride, float* to,
                 int64_t to_stride);
  size_t rows_of(const Shape& shape) const { return static_cast<size_t>(batch_ * shape.size() / shape.back()); }

  const int batch_;
  std::unique_ptr<pthreadpool, Deleter> pool_;  // null: the calling thread alone
  core::Arena memory_;
  std::span<float> input_;
  std::span<const float> output_;
  struct Step {
    std::unique_ptr<xnn_operator, Deleter> run;
    int layer;  // of the spec
  };
  std::vector<Step> steps_;
  int layer_ = 0;  // that is being made
};

}  // namespace fdi::device::xnnpack
#endif
