// max_pool, avg_pool: windows over (height, width, channel), or over every step of a sequence of images.
#include "kernels/pool.h"

#include "nn/layer.h"
#include "nn/window.h"

namespace fdi::nn {
namespace {

template <bool kMax>
class Pool final : public Layer {
 public:
  explicit Pool(const Window& w) : steps_(w.steps), g_(w.geometry) {}

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    const auto pool = kMax ? kernels::max_pool_forward : kernels::avg_pool_forward;
    pool(g_, pass.batch * steps_, x[0].data, y.data, pass.workspace.threads);
  }
  void backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    if (dx[0].data == nullptr) return;
    const int images = pass.batch * steps_, threads = pass.workspace.threads;
    if constexpr (kMax) {
      kernels::max_pool_backward(g_, images, x[0].data, y.data, dy.data, dx[0].data, threads);
    } else {
      kernels::avg_pool_backward(g_, images, dy.data, dx[0].data, threads);
    }
  }

 private:
  const int steps_;
  const kernels::ConvGeometry g_;
};

// Every window meets the image: under both paddings the last one starts inside it.
Shape pool_shape(const LayerSpec& layer, std::span<const Shape> in) {
  return window(layer, in[0]).output(in[0].back());
}

int64_t pool_flops(const LayerSpec& layer, std::span<const Shape> in) {  // one comparison or addition per pixel
  const kernels::ConvGeometry g = window(layer, in[0]).geometry;
  return pool_shape(layer, in).size() * g.kernel_h * g.kernel_w;
}

template <bool kMax>
OpInfo pool_info(Op op, const char* name) {
  return {.op = op,
          .name = name,
          .min_inputs = 1,
          .max_inputs = 1,
          .attributes = {"kernel", "stride", "padding"},
          .required = {"kernel", "stride"},  // other programs take the kernel for a missing stride, conv2d takes 1
          .output_shape = pool_shape,
          .parameters = no_parameters,
          .flops = pool_flops,
          .make = [](const LayerSpec& layer, std::span<const Shape> in) -> std::unique_ptr<Layer> {
            return std::make_unique<Pool<kMax>>(window(layer, in[0]));
          }};
}

}  // namespace

const OpInfo& max_pool_info() {
  static const OpInfo info = pool_info<true>(Op::kMaxPool, "max_pool");
  return info;
}
const OpInfo& avg_pool_info() {
  static const OpInfo info = pool_info<false>(Op::kAvgPool, "avg_pool");
  return info;
}

}  // namespace fdi::nn
