// fc: y = x weight + bias on the last axis: a vector (in), or a sequence (time, in) at every step.
// weight (in, units), bias (units).
#include <algorithm>

#include "core/error.h"
#include "kernels/column_sums.h"
#include "kernels/elementwise.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

using kernels::Gemm;

Shape fc_shape(const LayerSpec& layer, std::span<const Shape> in) {
  if (in[0].rank > 2)
    core::fail("{} got {}, want a vector (feature) or a sequence (time, feature); put a flatten before it",
               describe(layer), core::to_string(in[0]));
  Shape out = in[0];
  out[out.rank - 1] = layer.attr.units;
  return out;
}

std::vector<ParameterSpec> fc_parameters(const LayerSpec& layer, std::span<const Shape> in) {
  const int fan_in = in[0].back(), units = layer.attr.units;
  const bool relu = layer.attr.relu;  // without: PyTorch's Linear, so that a classifier starts near ln(classes)
  std::vector<ParameterSpec> out{{"weight", {fan_in, units}, relu ? Init::kHeNormal : Init::kUniform, fan_in}};
  if (layer.attr.bias) out.push_back({"bias", {units}, relu ? Init::kZeros : Init::kUniform, fan_in});
  return out;
}

int64_t fc_flops(const LayerSpec& layer, std::span<const Shape> in) { return 2 * in[0].size() * layer.attr.units; }

class Fc final : public Layer {
 public:
  Fc(const LayerSpec& layer, const Shape& in)
      : steps_(in.rank == 2 ? in[0] : 1), in_(in.back()), units_(layer.attr.units), attr_(layer.attr) {}

  void bind(std::span<const Tensor> values, std::span<const Tensor> grads) override {
    weight_ = values[0].data;
    if (attr_.bias) bias_ = values[1].data;
    if (grads.empty()) return;
    dweight_ = grads[0].data;
    if (attr_.bias) dbias_ = grads[1].data;
  }

  // Packed: the panels of weight, then bias.
  int64_t packed_floats() const override { return kernels::packed_b_floats(in_, units_) + (attr_.bias ? units_ : 0); }
  void pack(std::span<const Tensor> values, float* packed) override {
    kernels::pack_b(in_, units_, {.data = values[0].data, .ld = units_}, packed);
    packed_ = packed;
    if (attr_.bias) {
      float* bias = packed + kernels::packed_b_floats(in_, units_);
      std::copy_n(values[1].data, units_, bias);
      bias_ = bias;
    }
  }

  size_t workspace_bytes(int batch, int threads, bool training) const override {
    const int64_t m = int64_t{batch} * steps_;
    Gemm forward = forward_call(m, nullptr, nullptr);
    forward.b.packed = !training;  // also where this is asked for before pack()
    size_t bytes = kernels::gemm_workspace_bytes(forward, threads);
    if (training) {
      bytes = std::max(bytes, kernels::gemm_workspace_bytes(data_call(m, nullptr, nullptr), threads));
      bytes = std::max(bytes, kernels::gemm_workspace_bytes(weight_call(m, nullptr, nullptr), threads));
    }
    return bytes;
  }

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    kernels::gemm(forward_call(rows(pass), x[0].data, y.data), pass.workspace);
  }

  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    const int64_t m = rows(pass);
    if (attr_.relu) kernels::relu_backward(m * units_, y.data, dy.data, dy.data, pass.workspace.threads);
    kernels::gemm(weight_call(m, x[0].data, dy.data), pass.workspace);
    if (attr_.bias) kernels::column_sums(m, units_, dy.data, dbias_, pass.workspace.threads);
    if (dx[0].data != nullptr) kernels::gemm(data_call(m, dy.data, dx[0].data), pass.workspace);
  }

 private:
  int64_t rows(const Pass& pass) const { return int64_t{pass.batch} * steps_; }

  Gemm forward_call(int64_t m, const float* x, float* y) const {
    return {.m = m,
            .n = units_,
            .k = in_,
            .a = {.data = x, .ld = in_},
            .b = packed_ == nullptr ? kernels::Operand{.data = weight_, .ld = units_}
                                    : kernels::Operand{.data = packed_, .packed = true},
            .c = y,
            .ldc = units_,
            .bias = bias_,
            .activation = attr_.relu ? kernels::Activation::kRelu : kernels::Activation::kNone};
  }
  // dx (m, in) = dy (m, units) weight^T
  Gemm data_call(int64_t m, const float* dy, float* dx) const {
    return {.m = m,
            .n = in_,
            .k = units_,
            .a = {.data = dy, .ld = units_},
            .b = {.data = weight_, .ld = units_, .transposed = true},
            .c = dx,
            .ldc = in_};
  }
  // dweight (in, units) = x^T dy
  Gemm weight_call(int64_t m, const float* x, const float* dy) const {
    return {.m = in_,
            .n = units_,
            .k = m,
            .a = {.data = x, .ld = in_, .transposed = true},
            .b = {.data = dy, .ld = units_},
            .c = dweight_,
            .ldc = units_};
  }

  const int steps_, in_, units_;
  const Attributes attr_;
  const float *weight_ = nullptr, *bias_ = nullptr, *packed_ = nullptr;
  float *dweight_ = nullptr, *dbias_ = nullptr;
};

std::unique_ptr<Layer> make_fc(const LayerSpec& layer, std::span<const Shape> in) {
  return std::make_unique<Fc>(layer, in[0]);
}

}  // namespace

const OpInfo& fc_info() {
  static const OpInfo info{.op = Op::kFc,
                           .name = "fc",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {"units", "bias", "relu"},
                           .required = {"units"},
                           .output_shape = fc_shape,
                           .parameters = fc_parameters,
                           .flops = fc_flops,
                           .make = make_fc};
  return info;
}

}  // namespace fdi::nn
