// relu, tanh, sigmoid: the same shape in and out, no weights. One class, three pairs of kernels.
#include "kernels/elementwise.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

using Forward = void (*)(int64_t n, const float* x, float* y, int threads) noexcept;
using Backward = void (*)(int64_t n, const float* y, const float* dy, float* dx, int threads) noexcept;

template <Forward kForward, Backward kBackward>
class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(int64_t size) : size_(size) {}

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    kForward(pass.batch * size_, x[0].data, y.data, pass.workspace.threads);
  }
  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    if (dx[0].data != nullptr) kBackward(pass.batch * size_, y.data, dy.data, dx[0].data, pass.workspace.threads);
  }

 private:
  const int64_t size_;  // of one example
};

// kCost: floating-point operations per element; exp counts as one.
template <Forward kForward, Backward kBackward, int kCost>
OpInfo activation_info(Op op, const char* name) {
  return {.op = op,
          .name = name,
          .min_inputs = 1,
          .max_inputs = 1,
          .attributes = {},
          .required = {},
          .output_shape = [](const LayerSpec&, std::span<const Shape> in) { return in[0]; },
          .parameters = no_parameters,
          .flops = [](const LayerSpec&, std::span<const Shape> in) { return kCost * in[0].size(); },
          .make = [](const LayerSpec&, std::span<const Shape> in) -> std::unique_ptr<Layer> {
            return std::make_unique<ActivationLayer<kForward, kBackward>>(in[0].size());
          }};
}

}  // namespace

const OpInfo& relu_info() {
  static const OpInfo info = activation_info<kernels::relu_forward, kernels::relu_backward, 1>(Op::kRelu, "relu");
  return info;
}
const OpInfo& tanh_info() {
  static const OpInfo info = activation_info<kernels::tanh_forward, kernels::tanh_backward, 4>(Op::kTanh, "tanh");
  return info;
}
const OpInfo& sigmoid_info() {
  static const OpInfo info =
      activation_info<kernels::sigmoid_forward, kernels::sigmoid_backward, 3>(Op::kSigmoid, "sigmoid");
  return info;
}

}  // namespace fdi::nn
