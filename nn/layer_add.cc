// add: y = x0 + x1 + ..., then relu where fused. All inputs have one shape.
#include "core/error.h"
#include "kernels/elementwise.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

Shape add_shape(const LayerSpec& layer, std::span<const Shape> in) {
  for (const Shape& shape : in)
    if (shape != in[0])
      core::fail("{} got {} and {}, want the same shape of all inputs", describe(layer), core::to_string(in[0]),
                 core::to_string(shape));
  return in[0];
}

int64_t add_flops(const LayerSpec&, std::span<const Shape> in) {
  return static_cast<int64_t>(in.size() - 1) * in[0].size();
}

class Add final : public Layer {
 public:
  explicit Add(const LayerSpec& layer) : relu_(layer.attr.relu) {}

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    kernels::add(y.size(), x[0].data, x[1].data, relu_ && x.size() == 2, y.data, pass.workspace.threads);
    for (size_t i = 2; i < x.size(); ++i)
      kernels::add(y.size(), y.data, x[i].data, relu_ && i + 1 == x.size(), y.data, pass.workspace.threads);
  }

  void backward(const Pass& pass, std::span<const Tensor>, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    const int threads = pass.workspace.threads;
    if (relu_) kernels::relu_backward(y.size(), y.data, dy.data, dy.data, threads);
    for (const Tensor& d : dx)
      if (d.data != nullptr) kernels::copy(dy.size(), dy.data, d.data, threads);
  }

 private:
  const bool relu_;
};

std::unique_ptr<Layer> make_add(const LayerSpec& layer, std::span<const Shape>) { return std::make_unique<Add>(layer); }

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
