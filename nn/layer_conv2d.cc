// conv2d: a 2-D convolution, "same" or "valid", on (height, width, channel), or at every step of a sequence of such.
// weight (kernel_h, kernel_w, in_channel, units), bias (units).
#include <algorithm>

#include "kernels/conv.h"
#include "kernels/elementwise.h"
#include "nn/layer.h"
#include "nn/window.h"

namespace fdi::nn {
namespace {

using kernels::ConvGeometry;

Shape conv2d_shape(const LayerSpec& layer, std::span<const Shape> in) {
  return window(layer, in[0]).output(layer.attr.units);
}

std::vector<ParameterSpec> conv2d_parameters(const LayerSpec& layer, std::span<const Shape> in) {
  const Attributes& a = layer.attr;
  const double area = double{1} * a.kernel[0] * a.kernel[1];  // may pass an int before the sizes are checked
  const int fan_in = static_cast<int>(std::min(area * in[0].back(), 1e9));
  std::vector<ParameterSpec> out{
      {"weight", {a.kernel[0], a.kernel[1], in[0].back(), a.units}, Init::kHeNormal, fan_in}};
  if (a.bias) out.push_back({"bias", {a.units}, Init::kZeros});
  return out;
}

int64_t conv2d_flops(const LayerSpec& layer, std::span<const Shape> in) {
  const Window w = window(layer, in[0]);
  return 2 * w.output(layer.attr.units).size() * w.geometry.patch();
}

class Conv2d final : public Layer {
 public:
  Conv2d(const LayerSpec& layer, const Shape& in) : bias_wanted_(layer.attr.bias), relu_(layer.attr.relu) {
    const Window w = window(layer, in);
    steps_ = w.steps;
    g_ = w.geometry;
    g_.out_channel = layer.attr.units;
  }

  void bind(std::span<const Tensor> values, std::span<const Tensor> grads) override {
    weight_ = values[0].data;
    if (bias_wanted_) bias_ = values[1].data;
    if (grads.empty()) return;
    dweight_ = grads[0].data;
    if (bias_wanted_) dbias_ = grads[1].data;
  }

  // Packed: the panels of weight, then bias.
  int64_t packed_floats() const override {
    return kernels::packed_b_floats(g_.patch(), g_.out_channel) + (bias_wanted_ ? g_.out_channel : 0);
  }
  void pack(std::span<const Tensor> values, float* packed) override {
    kernels::pack_b(g_.patch(), g_.out_channel, {.data = values[0].data, .ld = g_.out_channel}, packed);
    packed_ = packed;
    if (bias_wanted_) {
      float* bias = packed + kernels::packed_b_floats(g_.patch(), g_.out_channel);
      std::copy_n(values[1].data, g_.out_channel, bias);
      bias_ = bias;
    }
  }

  size_t workspace_bytes(int batch, int threads, bool training) const override {
    const int images = batch * steps_;
    const size_t forward = kernels::conv2d_workspace_bytes(g_, images, path(training), threads);
    if (!training) return forward;
    return std::max(forward, kernels::conv2d_backward_workspace_bytes(g_, images, kernels::ConvPath::kAuto, threads));
  }

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    kernels::conv2d_forward(g_, pass.batch * steps_, x[0].data, weight_, packed_, bias_,
                            relu_ ? kernels::Activation::kRelu : kernels::Activation::kNone, y.data,
                            kernels::ConvPath::kAuto, pass.workspace);
  }

  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    const int images = pass.batch * steps_;
    if (relu_) kernels::relu_backward(dy.size(), y.data, dy.data, dy.data, pass.workspace.threads);
    kernels::conv2d_backward_weight(g_, images, x[0].data, dy.data, dweight_, dbias_, kernels::ConvPath::kAuto,
                                    pass.workspace);
    if (dx[0].data != nullptr)
      kernels::conv2d_backward_data(g_, images, dy.data, weight_, dx[0].data, kernels::ConvPath::kAuto, pass.workspace);
  }

 private:
  // Inference packs its weights once, which serves the direct product.
  static kernels::ConvPath path(bool training) {
    return training ? kernels::ConvPath::kAuto : kernels::ConvPath::kFused;
  }

  const bool bias_wanted_, relu_;
  int steps_ = 1;
  ConvGeometry g_;
  const float *weight_ = nullptr, *bias_ = nullptr, *packed_ = nullptr;
  float *dweight_ = nullptr, *dbias_ = nullptr;
};

std::unique_ptr<Layer> make_conv2d(const LayerSpec& layer, std::span<const Shape> in) {
  return std::make_unique<Conv2d>(layer, in[0]);
}

}  // namespace

const OpInfo& conv2d_info() {
  static const OpInfo info{.op = Op::kConv2d,
                           .name = "conv2d",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {"units", "kernel", "stride", "padding", "bias", "relu"},
                           .required = {"units", "kernel"},
                           .output_shape = conv2d_shape,
                           .parameters = conv2d_parameters,
                           .flops = conv2d_flops,
                           .make = make_conv2d};
  return info;
}

}  // namespace fdi::nn
