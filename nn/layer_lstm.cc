// lstm: (time, in) -> (time, units). Columns of the weights in PyTorch's order: i (input), f (forget), g (candidate),
// o (output); c' = f c + i g, h' = o tanh(c'). One bias: the sum of PyTorch's two.
#include "nn/recurrent.h"

namespace fdi::nn {
namespace {

class Lstm final : public Recurrent {
 public:
  Lstm(const LayerSpec& layer, const Shape& in) : Recurrent(layer, in, {.gates = 4, .cell = true}) {}

 private:
  void step_forward(const Run& run, const kernels::RnnStep& step) noexcept override {
    product(run, 0, step.h_prev, step);
    kernels::lstm_forward(step);
  }
  void step_backward(const Run& run, const kernels::RnnStep& step,
                     const kernels::RnnStepGradient& grad) noexcept override {
    kernels::lstm_backward(step, grad);
    if (step.step > 0) product_backward(run, 0, grad.dgx, grad.dh, true);
  }
};

}  // namespace

const OpInfo& lstm_info() {
  static const OpInfo info{
      .op = Op::kLstm,
      .name = "lstm",
      .min_inputs = 1,
      .max_inputs = 1,
      .attributes = {"units"},
      .required = {"units"},
      .output_shape = recurrent_shape,
      .parameters = [](const LayerSpec& layer,
                       std::span<const Shape> in) { return recurrent_parameters(layer, in[0], 4, false); },
      .flops = [](const LayerSpec& layer, std::span<const Shape> in) { return recurrent_flops(layer, in[0], 4); },
      .make = [](const LayerSpec& layer, std::span<const Shape> in) -> std::unique_ptr<Layer> {
        return std::make_unique<Lstm>(layer, in[0]);
      }};
  return info;
}

}  // namespace fdi::nn
