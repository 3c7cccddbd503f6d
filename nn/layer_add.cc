// add: y = x0 + x1 + ..., then relu where fused. All inputs have one shape.
#include <limits>

#include "core/error.h"
#include "nn/layer.h"
#include "nn/loops.h"

namespace fdi::nn {
namespace {

Shape add_shape(const LayerSpec& layer, std::span<const Shape> in) {
  for (const Shape& shape : in)
    if (shape != in[0])
      core::fail("{} got {} and {}, want the same shape of all inputs", describe(layer), core::to_string(in[0]),
                 core::to_string(shape));
  return in[0];
}

std::vector<ParameterSpec> no_parameters(const LayerSpec&, std::span<const Shape>) { return {}; }

int64_t add_flops(const LayerSpec&, std::span<const Shape> in) {
  return static_cast<int64_t>(in.size() - 1) * in[0].size();
}

class Add final : public Layer {
 public:
  explicit Add(const LayerSpec& layer) : relu_(layer.attr.relu) {}

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    const int64_t n = y.size();
    const float* a = x[0].data;
    for (size_t i = 1; i < x.size(); ++i) {
      const float* b = x[i].data;
      const float floor = relu_ && i + 1 == x.size() ? 0.0F : -std::numeric_limits<float>::infinity();
#pragma omp parallel for simd schedule(static) num_threads(pass.workspace.threads) if (n > kParallelFloats)
      for (int64_t j = 0; j < n; ++j) {
        const float sum = a[j] + b[j];
        y.data[j] = sum < floor ? floor : sum;  // NaN stays NaN
      }
      a = y.data;
    }
  }

  void backward(const Pass& pass, std::span<const Tensor>, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    const int threads = pass.workspace.threads;
    if (relu_) mask_by_positive(y.size(), y.data, dy.data, threads);
    for (const Tensor& d : dx)
      if (d.data != nullptr) copy(dy.size(), dy.data, d.data, threads);
  }

 private:
  const bool relu_;
};

std::unique_ptr<Layer> make_add(const LayerSpec& layer, std::span<const Shape>, bool) {
  return std::make_unique<Add>(layer);
}

}  // namespace

const OpInfo& add_info() {
  static const OpInfo info{.op = Op::kAdd,
                           .name = "add",
                           .min_inputs = 2,
                           .max_inputs = 64,
                           .attributes = {"relu"},
                           .required = {},
                           .output_shape = add_shape,
                           .parameters = no_parameters,
                           .flops = add_flops,
                           .make = make_add};
  return info;
}

}  // namespace fdi::nn
