// mask: each channel of each example times a factor that comes from outside (Pass::masks), alike at all its pixels or
// steps; without one, what comes in. A compressor puts it before the layers whose units it considers to drop; no stored
// network has one.
#include "kernels/elementwise.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

class Mask final : public Layer {
 public:
  explicit Mask(const Shape& in) : channel_(in.back()), rows_(in.size() / in.back()) {}

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    apply(pass, x[0].data, y.data);
  }
  void backward(const Pass& pass, std::span<const Tensor> x, Tensor, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    if (pass.mask_gradient() != nullptr)
      kernels::sum_products(pass.batch, rows_, channel_, x[0].data, dy.data, pass.mask_gradient(),
                            pass.workspace.threads);
    if (dx[0].data != nullptr) apply(pass, dy.data, dx[0].data);
  }

 private:
  void apply(const Pass& pass, const float* x, float* y) const noexcept {
    const int threads = pass.workspace.threads;
    const int64_t n = pass.batch * rows_ * channel_;
    if (pass.mask() == nullptr) return kernels::copy(n, x, y, threads);
    if (rows_ == 1) return kernels::multiply(n, x, pass.mask(), y, threads);
    kernels::multiply_channels(pass.batch, rows_, channel_, pass.mask(), x, y, threads);
  }

  const int channel_;
  const int64_t rows_;
};

}  // namespace

const OpInfo& mask_info() {
  static const OpInfo info{.op = Op::kMask,
                           .name = "mask",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {},
                           .required = {},
                           .output_shape = [](const LayerSpec&, std::span<const Shape> in) { return in[0]; },
                           .parameters = no_parameters,
                           .flops = no_flops,
                           .make = [](const LayerSpec&, std::span<const Shape> in) -> std::unique_ptr<Layer> {
                             return std::make_unique<Mask>(in[0]);
                           }};
  return info;
}

}  // namespace fdi::nn
