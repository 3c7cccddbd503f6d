// dropout: in training each unit is 0 with probability `rate`, else divided by 1 - rate; otherwise nothing happens.
// channel_dropout: the same for whole channels of an example, alike at all its pixels or steps, so that a compressor
// may ask what a network does without them. The draws depend on seed, step and the layer's place only.
#include <algorithm>

#include "core/rng.h"
#include "kernels/elementwise.h"
#include "kernels/parallel.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

class Dropout final : public Layer {
 public:
  Dropout(const LayerSpec& layer, const Shape& in, bool whole_channels)
      : rate_(layer.attr.rate), rows_(whole_channels ? in.size() / in.back() : 1), masked_(in.size() / rows_) {}

  // State: the factor of every unit, or of every channel.
  int64_t state_floats(int batch) const override { return batch * masked_; }
  void bind_state(float* state) override { mask_ = state; }

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    if (!pass.training) return kernels::copy(pass.batch * masked_ * rows_, x[0].data, y.data, pass.workspace.threads);
    draw(pass);
    apply(pass, x[0].data, y.data);
  }
  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    if (dx[0].data != nullptr) apply(pass, dy.data, dx[0].data);
  }

 private:
  void draw(const Pass& pass) noexcept {  // each piece of the mask has its own stream: threads change nothing
    constexpr int64_t kPiece = 4096;
    const int64_t n = pass.batch * masked_;
    const float kept = 1.0F / (1.0F - rate_);
    kernels::for_each_index((n + kPiece - 1) / kPiece, pass.workspace.threads, n > 4 * kPiece, [&](int64_t piece) {
      core::Rng rng(pass.seed, core::Stream::kDropout, pass.step, pass.layer, piece);
      const int64_t end = std::min(n, (piece + 1) * kPiece);
      for (int64_t i = piece * kPiece; i < end; ++i) mask_[i] = rng.uniform() < rate_ ? 0.0F : kept;
    });
  }
  void apply(const Pass& pass, const float* x, float* y) noexcept {
    const int threads = pass.workspace.threads;
    if (rows_ == 1) return kernels::multiply(pass.batch * masked_, x, mask_, y, threads);
    kernels::multiply_channels(pass.batch, rows_, static_cast<int>(masked_), mask_, x, y, threads);
  }

  const float rate_;
  const int64_t rows_, masked_;  // of one example: rows that share a factor, factors
  float* mask_ = nullptr;
};

template <bool kWholeChannels>
OpInfo dropout_op(Op op, const char* name) {
  return {.op = op,
          .name = name,
          .min_inputs = 1,
          .max_inputs = 1,
          .attributes = {"rate"},
          .required = {"rate"},
          .output_shape = [](const LayerSpec&, std::span<const Shape> in) { return in[0]; },
          .parameters = no_parameters,
          .flops = [](const LayerSpec&, std::span<const Shape>) { return int64_t{0}; },  // of inference
          .make = [](const LayerSpec& layer, std::span<const Shape> in) -> std::unique_ptr<Layer> {
            return std::make_unique<Dropout>(layer, in[0], kWholeChannels);
          }};
}

}  // namespace

const OpInfo& dropout_info() {
  static const OpInfo info = dropout_op<false>(Op::kDropout, "dropout");
  return info;
}
const OpInfo& channel_dropout_info() {
  static const OpInfo info = dropout_op<true>(Op::kChannelDropout, "channel_dropout");
  return info;
}

}  // namespace fdi::nn
