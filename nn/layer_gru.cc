// gru: (time, in) -> (time, units). Columns of the weights in PyTorch's order: r (reset), z (update), n (candidate).
//   h' = (1 - z) n + z h,  r and z = sigmoid(x W + h U + b)
//   reset_after (PyTorch, cuDNN):       n = tanh(x W_n + b_n + r (h U_n + b'_n)); bias and bias_hidden
//   not reset_after (Cho et al. 2014):  n = tanh(x W_n + b_n + (r h) U_n); bias only: 3 units (in + units + 1) weights
#include "nn/recurrent.h"

namespace fdi::nn {
namespace {

class GruResetAfter final : public Recurrent {
 public:
  GruResetAfter(const LayerSpec& layer, const Shape& in) : Recurrent(layer, in, {.gates = 3, .second_bias = true}) {}

 private:
  void step_forward(const Run& run, const kernels::RnnStep& step) noexcept override {
    product(run, 0, step.h_prev, step);
    kernels::gru_after_forward(step);
  }
  void step_backward(const Run& run, const kernels::RnnStep& step,
                     const kernels::RnnStepGradient& grad) noexcept override {
    kernels::gru_after_backward(step, grad);
    if (step.step > 0) product_backward(run, 0, grad.dgh, grad.dh, true);
  }
};

class GruResetBefore final : public Recurrent {
 public:
  GruResetBefore(const LayerSpec& layer, const Shape& in) : Recurrent(layer, in, {.gates = 3, .split_product = true}) {}

 private:
  void step_forward(const Run& run, const kernels::RnnStep& step) noexcept override {
    product(run, 0, step.h_prev, step);
    kernels::gru_before_reset(step);
    product(run, 1, {step.gates.data + int64_t{3} * units_, step.gates.ld}, step);
    kernels::gru_before_update(step);
  }
  void step_backward(const Run& run, const kernels::RnnStep& step,
                     const kernels::RnnStepGradient& grad) noexcept override {
    kernels::gru_before_update_backward(step, grad);
    product_backward(run, 1, grad.dgx, grad.dq, false);
    kernels::gru_before_reset_backward(step, grad);
    if (step.step > 0) product_backward(run, 0, grad.dgx, grad.dh, true);
  }
};

}  // namespace

const OpInfo& gru_info() {
  static const OpInfo info{
      .op = Op::kGru,
      .name = "gru",
      .min_inputs = 1,
      .max_inputs = 1,
      .attributes = {"units", "reset_after"},
      .required = {"units"},
      .output_shape = recurrent_shape,
      .parameters =
          [](const LayerSpec& layer, std::span<const Shape> in) {
            return recurrent_parameters(layer, in[0], 3, layer.attr.reset_after);
          },
      .flops = [](const LayerSpec& layer, std::span<const Shape> in) { return recurrent_flops(layer, in[0], 3); },
      .make = [](const LayerSpec& layer, std::span<const Shape> in) -> std::unique_ptr<Layer> {
        if (layer.attr.reset_after) return std::make_unique<GruResetAfter>(layer, in[0]);
        return std::make_unique<GruResetBefore>(layer, in[0]);
      }};
  return info;
}

}  // namespace fdi::nn
