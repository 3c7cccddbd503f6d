// Recurrent: what the gru and lstm layers share: weights, the product with the input for all steps at once, the product
// with the state at each step, backward through time, and the memory of all this.
//   x (time, in) -> y (time, units); gates: 3 (GRU) or 4 (LSTM) blocks of `units` columns.
//   input_weight (in, gates * units), hidden_weight (units, gates * units), bias (gates * units),
//   bias_hidden (gates * units), only where the op wants a second one.
// The state starts at 0. Pass::lengths masks: at a missing step the state is carried over and the output is 0.
#pragma once
#include <array>

#include "kernels/gemm.h"
#include "kernels/rnn.h"
#include "nn/layer.h"

namespace fdi::nn {

Shape recurrent_shape(const LayerSpec& layer, std::span<const Shape> in);  // throws Error
std::vector<ParameterSpec> recurrent_parameters(const LayerSpec& layer, const Shape& in, int gates, bool second_bias);
// Matrix products only.
int64_t recurrent_flops(const LayerSpec& layer, const Shape& in, int gates);

class Recurrent : public Layer {
 public:
  void bind(std::span<const Tensor> values, std::span<const Tensor> grads) override;
  int64_t packed_floats() const override;
  void pack(std::span<const Tensor> values, float* packed) override;
  int64_t state_floats(int batch) const override;
  void bind_state(float* state) override { state_ = state; }
  size_t workspace_bytes(int batch, int threads, bool training) const override;
  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override;
  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override;

 protected:
  // Columns of hidden_weight that are multiplied together: all at once, or (GRU, reset before) r and z, then n.
  struct Part {
    int first = 0, columns = 0;
  };
  struct Kind {
    int gates = 3;
    bool second_bias = false;
    bool cell = false;           // LSTM
    bool split_product = false;  // n has a product of its own
  };
  Recurrent(const LayerSpec& layer, const Shape& in, const Kind& kind);

  // What one pass works with: the workspace cut into pieces.
  struct Run {
    int batch = 0;
    float *gx = nullptr, *gh = nullptr;    // forward: (batch, time, gates * units), (batch, gates * units)
    float *h = nullptr, *c = nullptr;      // (batch, units) inference: the state itself
    float* gates = nullptr;                // (batch, 4 units) inference: of this step
    float *dgx = nullptr, *dgh = nullptr;  // backward: (batch, time, gates * units); one array without second bias
    float *dh = nullptr, *dc = nullptr;    // (batch, units)
    float* dq = nullptr;                   // (batch, units)
    std::array<float*, 2> panels{};        // hidden_weight packed for this pass, by part; null: once, for all
    kernels::Workspace gemm;               // what is left
  };

  // The gates of one step: calls product() for what it needs, then the kernels.
  virtual void step_forward(const Run& run, const kernels::RnnStep& step) noexcept = 0;
  virtual void step_backward(const Run& run, const kernels::RnnStep& step,
                             const kernels::RnnStepGradient& grad) noexcept = 0;

  // step.gh[:, part] = from (batch, units) hidden_weight[:, part] + bias_hidden
  void product(const Run& run, int part, kernels::Rows from, const kernels::RnnStep& step) noexcept;
  // to (batch, units) [+]= grad[:, part] hidden_weight[:, part]^T
  void product_backward(const Run& run, int part, kernels::Rows grad, kernels::Rows to, bool accumulate) noexcept;

  const int time_, in_, units_, columns_;  // columns_ = gates * units
  const Kind kind_;

 private:
  // Cuts the workspace of a forward or backward pass; a null base only measures how many floats are used.
  Run cut(float* base, int batch, bool training, bool backward, int64_t* used) const noexcept;
  Run cut(const kernels::Workspace& ws, int batch, bool backward) const noexcept;
  kernels::RnnStep step_at(const Pass& pass, const Run& run, int t, float* y) const noexcept;
  void mask(const Pass& pass, kernels::Rows rows) const noexcept;  // rows (batch, units) by Pass::mask(), if any

  // The matrix products. `rows` = batch * time; gradients have "gradient" in their name, of weights "weight".
  kernels::Gemm input_call(int64_t rows, const float* x, float* gx) const noexcept;
  kernels::Gemm input_gradient_call(int64_t rows, const float* dgx, float* dx) const noexcept;
  kernels::Gemm input_weight_call(int64_t rows, const float* x, const float* dgx) const noexcept;
  kernels::Gemm product_call(const Run& run, int index, kernels::Rows from, kernels::Rows to) const noexcept;
  kernels::Gemm product_gradient_call(const Run& run, int index, kernels::Rows grad, kernels::Rows to,
                                      bool accumulate) const noexcept;
  kernels::Gemm hidden_weight_call(int64_t rows, int index, kernels::Rows from, kernels::Rows grad) const noexcept;
  int parts() const { return kind_.split_product ? 2 : 1; }
  Part part(int i) const {
    if (!kind_.split_product) return {0, columns_};
    return i == 0 ? Part{0, 2 * units_} : Part{2 * units_, units_};
  }
  // State: gates (batch, time, 4 units), h before each step (batch, time, units), cells (batch, time + 1, units).
  float* state_h(int batch) const { return state_ + int64_t{batch} * time_ * 4 * units_; }
  float* state_c(int batch) const { return state_ + int64_t{batch} * time_ * 5 * units_; }

  const float *input_weight_ = nullptr, *packed_input_ = nullptr, *bias_ = nullptr;
  const float *hidden_weight_ = nullptr, *bias_hidden_ = nullptr;
  std::array<const float*, 2> packed_hidden_{};  // by part
  float *dinput_weight_ = nullptr, *dhidden_weight_ = nullptr, *dbias_ = nullptr, *dbias_hidden_ = nullptr;
  float* state_ = nullptr;
};

}  // namespace fdi::nn
