// batch_norm over the last axis: (..., channel). Weights gamma, beta (channel); state running_mean, running_var
// (channel), which training updates and evaluation reads. Optionally max(0, .) in the same pass.
#include "kernels/batch_norm.h"

#include "nn/layer.h"

namespace fdi::nn {
namespace {

std::vector<ParameterSpec> batch_norm_parameters(const LayerSpec&, std::span<const Shape> in) {
  const Shape channel{in[0].back()};
  return {{"gamma", channel, Init::kOnes},
          {"beta", channel, Init::kZeros},
          {"running_mean", channel, Init::kZeros, 1, false},
          {"running_var", channel, Init::kOnes, 1, false}};
}

class BatchNormLayer final : public Layer {
 public:
  BatchNormLayer(const LayerSpec& layer, const Shape& in)
      : rows_(in.size() / in.back()),
        channel_(in.back()),
        epsilon_(layer.attr.epsilon),
        momentum_(layer.attr.momentum),
        relu_(layer.attr.relu) {}

  void bind(std::span<const Tensor> values, std::span<const Tensor> grads) override {
    gamma_ = values[0].data;
    beta_ = values[1].data;
    running_mean_ = values[2].data;
    running_var_ = values[3].data;
    if (grads.empty()) return;
    dgamma_ = grads[0].data;
    dbeta_ = grads[1].data;
  }

  // Packed: scale, then shift.
  int64_t packed_floats() const override { return 2 * int64_t{channel_}; }
  void pack(std::span<const Tensor> values, float* packed) override {
    kernels::batch_norm_fold(channel_, epsilon_, values[0].data, values[1].data, values[2].data, values[3].data, packed,
                             packed + channel_);
    packed_ = packed;
  }

  // State: the batch's mean, then 1 / its standard deviation.
  int64_t state_floats(int) const override { return 2 * int64_t{channel_}; }
  void bind_state(float* state) override { state_ = state; }
  size_t workspace_bytes(int batch, int, bool training) const override {
    return training ? kernels::batch_norm_workspace_bytes(batch * rows_, channel_) : 0;
  }

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    const int64_t rows = pass.batch * rows_;
    if (pass.training) {
      kernels::batch_norm_forward(call(rows), momentum_, x[0].data, y.data, running_mean_, running_var_,
                                  pass.workspace);
      return;
    }
    const float* scale = packed_;
    if (packed_ == nullptr) {  // evaluation inside training: the statistics have just moved
      auto* folded = reinterpret_cast<float*>(pass.workspace.data);
      kernels::batch_norm_fold(channel_, epsilon_, gamma_, beta_, running_mean_, running_var_, folded,
                               folded + channel_);
      scale = folded;
    }
    kernels::batch_norm_inference(rows, channel_, scale, scale + channel_, relu_, x[0].data, y.data,
                                  pass.workspace.threads);
  }

  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    kernels::batch_norm_backward(call(pass.batch * rows_), x[0].data, dy.data, dx[0].data, dgamma_, dbeta_,
                                 pass.workspace);
  }

 private:
  kernels::BatchNorm call(int64_t rows) const {
    return {.rows = rows,
            .channel = channel_,
            .epsilon = epsilon_,
            .relu = relu_,
            .gamma = gamma_,
            .beta = beta_,
            .mean = state_,
            .inv_std = state_ + channel_};
  }

  const int64_t rows_;  // of one example
  const int channel_;
  const float epsilon_, momentum_;
  const bool relu_;
  const float *gamma_ = nullptr, *beta_ = nullptr, *packed_ = nullptr;
  float *running_mean_ = nullptr, *running_var_ = nullptr, *dgamma_ = nullptr, *dbeta_ = nullptr, *state_ = nullptr;
};

}  // namespace

const OpInfo& batch_norm_info() {
  static const OpInfo info{.op = Op::kBatchNorm,
                           .name = "batch_norm",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {"epsilon", "momentum", "relu"},
                           .required = {},
                           .output_shape = [](const LayerSpec&, std::span<const Shape> in) { return in[0]; },
                           .parameters = batch_norm_parameters,
                           .flops = [](const LayerSpec&, std::span<const Shape> in) { return 2 * in[0].size(); },
                           .make = [](const LayerSpec& layer, std::span<const Shape> in) -> std::unique_ptr<Layer> {
                             return std::make_unique<BatchNormLayer>(layer, in[0]);
                           }};
  return info;
}

}  // namespace fdi::nn
