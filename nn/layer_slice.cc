// slice: the part [begin, end) of one axis (0 is the first after the batch).
#include <cstring>

#include "core/error.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

Shape slice_shape(const LayerSpec& layer, std::span<const Shape> in) {
  const Attributes& a = layer.attr;
  if (a.axis >= in[0].rank)
    core::fail("{} got {}, want more than {} axes to cut axis {}", describe(layer), core::to_string(in[0]), a.axis,
               a.axis);
  if (a.begin >= a.end || a.end > in[0][a.axis])
    core::fail("{} got {}, want 0 <= begin < end <= {} on axis {}, not [{}, {})", describe(layer),
               core::to_string(in[0]), in[0][a.axis], a.axis, a.begin, a.end);
  Shape out = in[0];
  out[a.axis] = a.end - a.begin;
  return out;
}

constexpr int64_t kSliceFloats = 1 << 14;  // below it a second thread costs more than it brings

class Slice final : public Layer {
 public:
  Slice(const LayerSpec& layer, const Shape& in) {
    const Attributes& a = layer.attr;
    int64_t inner = 1;
    for (int i = a.axis + 1; i < in.rank; ++i) inner *= in[i];
    row_ = inner * in[a.axis];
    skip_ = inner * a.begin;
    keep_ = inner * (a.end - a.begin);
    outer_ = in.size() / row_;
  }

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    const int64_t rows = outer_ * pass.batch;
#pragma omp parallel for schedule(static) num_threads(pass.workspace.threads) if (rows * keep_ > kSliceFloats)
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(y.data + r * keep_, x[0].data + r * row_ + skip_, sizeof(float) * static_cast<size_t>(keep_));
  }

  void backward(const Pass& pass, std::span<const Tensor>, Tensor, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    if (dx[0].data == nullptr) return;
    const int64_t rows = outer_ * pass.batch;
#pragma omp parallel for schedule(static) num_threads(pass.workspace.threads) if (rows * row_ > kSliceFloats)
    for (int64_t r = 0; r < rows; ++r) {
      float* to = dx[0].data + r * row_;
      std::memset(to, 0, sizeof(float) * static_cast<size_t>(row_));
      std::memcpy(to + skip_, dy.data + r * keep_, sizeof(float) * static_cast<size_t>(keep_));
    }
  }

 private:
  int64_t outer_, row_, skip_, keep_;  // rows per example; floats of a row in, before the part, of the part
};

std::unique_ptr<Layer> make_slice(const LayerSpec& layer, std::span<const Shape> in) {
  return std::make_unique<Slice>(layer, in[0]);
}

}  // namespace

const OpInfo& slice_info() {
  static const OpInfo info{.op = Op::kSlice,
                           .name = "slice",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {"axis", "begin", "end"},
                           .required = {"axis", "begin", "end"},
                           .output_shape = slice_shape,
                           .parameters = no_parameters,
                           .flops = no_flops,
                           .make = make_slice};
  return info;
}

}  // namespace fdi::nn
