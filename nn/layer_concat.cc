// concat: joins inputs along one axis (0 is the first after the batch); all other extents agree.
#include <cstring>

#include "core/error.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

Shape concat_shape(const LayerSpec& layer, std::span<const Shape> in) {
  const int axis = layer.attr.axis;
  if (axis >= in[0].rank)
    core::fail("{} got {}, want more than {} axes to join along axis {}", describe(layer), core::to_string(in[0]), axis,
               axis);
  Shape out = in[0];
  int64_t joined = 0;
  for (const Shape& shape : in) {
    Shape other = shape;
    if (other.rank > axis) other[axis] = in[0][axis];
    if (other != in[0])
      core::fail("{} got {} and {}, want the same extents on all axes but {}", describe(layer), core::to_string(in[0]),
                 core::to_string(shape), axis);
    joined += shape[axis];
  }
  if (joined > kMaxDimension)
    core::fail("{} joins to {} on axis {}, want at most {}", describe(layer), joined, axis, kMaxDimension);
  out[axis] = static_cast<int>(joined);
  return out;
}

// Elements of the axes from `axis` on: what lies together in memory.
int64_t block(const Shape& shape, int axis) {
  int64_t n = 1;
  for (int i = axis; i < shape.rank; ++i) n *= shape[i];
  return n;
}

constexpr int64_t kConcatFloats = 1 << 14;  // below it a second thread costs more than it brings

class Concat final : public Layer {
 public:
  Concat(const LayerSpec& layer, std::span<const Shape> in) {
    outer_ = in[0].size() / block(in[0], layer.attr.axis);
    for (const Shape& shape : in) {
      blocks_.push_back(block(shape, layer.attr.axis));
      row_ += blocks_.back();
    }
  }

  void forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept override {
    const int64_t rows = outer_ * pass.batch;
#pragma omp parallel for schedule(static) num_threads(pass.workspace.threads) if (rows * row_ > kConcatFloats)
    for (int64_t r = 0; r < rows; ++r) {
      float* to = y.data + r * row_;
      for (size_t i = 0; i < x.size(); to += blocks_[i++])
        std::memcpy(to, x[i].data + r * blocks_[i], sizeof(float) * static_cast<size_t>(blocks_[i]));
    }
  }

  void backward(const Pass& pass, std::span<const Tensor>, Tensor, Tensor dy,
                std::span<const Tensor> dx) noexcept override {
    const int64_t rows = outer_ * pass.batch;
#pragma omp parallel for schedule(static) num_threads(pass.workspace.threads) if (rows * row_ > kConcatFloats)
    for (int64_t r = 0; r < rows; ++r) {
      const float* from = dy.data + r * row_;
      for (size_t i = 0; i < dx.size(); from += blocks_[i++])
        if (dx[i].data != nullptr)
          std::memcpy(dx[i].data + r * blocks_[i], from, sizeof(float) * static_cast<size_t>(blocks_[i]));
    }
  }

 private:
  std::vector<int64_t> blocks_;  // floats per input and row
  int64_t outer_ = 0, row_ = 0;
};

std::unique_ptr<Layer> make_concat(const LayerSpec& layer, std::span<const Shape> in) {
  return std::make_unique<Concat>(layer, in);
}

}  // namespace

const OpInfo& concat_info() {
  static const OpInfo info{.op = Op::kConcat,
                           .name = "concat",
                           .min_inputs = 1,
                           .max_inputs = 64,
                           .attributes = {"axis"},
                           .required = {"axis"},
                           .output_shape = concat_shape,
                           .parameters = no_parameters,
                           .flops = no_flops,
                           .make = make_concat};
  return info;
}

}  // namespace fdi::nn
