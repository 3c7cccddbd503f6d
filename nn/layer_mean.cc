// global_avg_pool: (height, width, channel) -> (channel), the mean over all pixels.
// time_mean: (time, feature) -> (feature), the mean over the valid steps (Pass::lengths); no valid step gives 0.
#include "core/error.h"
#include "kernels/pool.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

class RowMean final : public Layer {
 public:
  RowMean(const Shape& in, bool masked)
      : rows_(static_cast<int>(in.size() / in.back())), channel_(in.back()), masked_(masked) {}

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    kernels::mean_rows_forward(pass.batch, rows_, channel_, lengths(pass), x[0].data, y.data, pass.workspace.threads);
  }
  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    if (dx[0].data == nullptr) return;
    kernels::mean_rows_backward(pass.batch, rows_, channel_, lengths(pass), dy.data, dx[0].data,
                                pass.workspace.threads);
  }

 private:
  const int* lengths(const Pass& pass) const {
    return masked_ && !pass.lengths.empty() ? pass.lengths.data() : nullptr;
  }
  const int rows_, channel_;
  const bool masked_;
};

int64_t mean_flops(const LayerSpec&, std::span<const Shape> in) { return in[0].size(); }

Shape global_shape(const LayerSpec& layer, std::span<const Shape> in) {
  if (in[0].rank != 3)
    core::fail("{} got {}, want an image (height, width, channel)", describe(layer), core::to_string(in[0]));
  return {in[0].back()};
}

Shape time_shape(const LayerSpec& layer, std::span<const Shape> in) {
  if (in[0].rank != 2)
    core::fail("{} got {}, want a sequence (time, feature); put a reshape before it", describe(layer),
               core::to_string(in[0]));
  return {in[0].back()};
}

}  // namespace

const OpInfo& global_avg_pool_info() {
  static const OpInfo info{.op = Op::kGlobalAvgPool,
                           .name = "global_avg_pool",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {},
                           .required = {},
                           .output_shape = global_shape,
                           .parameters = no_parameters,
                           .flops = mean_flops,
                           .make = [](const LayerSpec&, std::span<const Shape> in) -> std::unique_ptr<Layer> {
                             return std::make_unique<RowMean>(in[0], false);
                           }};
  return info;
}

const OpInfo& time_mean_info() {
  static const OpInfo info{.op = Op::kTimeMean,
                           .name = "time_mean",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {},
                           .required = {},
                           .output_shape = time_shape,
                           .parameters = no_parameters,
                           .flops = mean_flops,
                           .make = [](const LayerSpec&, std::span<const Shape> in) -> std::unique_ptr<Layer> {
                             return std::make_unique<RowMean>(in[0], true);
                           }};
  return info;
}

}  // namespace fdi::nn
