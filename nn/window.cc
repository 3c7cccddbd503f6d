// Output extent and padding of a sliding window: "valid" takes whole windows only, "same" is TensorFlow's.
#include "nn/window.h"

#include <algorithm>

#include "core/error.h"

namespace fdi::nn {
namespace {

struct Axis {
  int out, pad_before;
};

Axis axis(int in, int kernel, int stride, Padding padding) {
  if (padding == Padding::kValid) return {(in - kernel) / stride + 1, 0};
  const int out = (in - 1) / stride + 1;
  const int64_t reach = int64_t{out - 1} * stride + kernel;
  return {out, static_cast<int>(std::max<int64_t>(reach - in, 0) / 2)};
}

}  // namespace

Shape Window::output(int channels) const {
  if (sequence) return {steps, geometry.out_h, geometry.out_w, channels};
  return {geometry.out_h, geometry.out_w, channels};
}

Window window(const LayerSpec& layer, const Shape& in) {
  if (in.rank != 3 && in.rank != 4)
    core::fail("{} got {}, want an image (height, width, channel) or a sequence of them (step, height, width, channel)",
               describe(layer), core::to_string(in));
  const Attributes& a = layer.attr;
  Window w;
  w.sequence = in.rank == 4;
  w.steps = w.sequence ? in[0] : 1;
  kernels::ConvGeometry& g = w.geometry;
  g.in_h = in[in.rank - 3];
  g.in_w = in[in.rank - 2];
  g.in_channel = g.out_channel = in.back();
  if (a.padding == Padding::kValid && (g.in_h < a.kernel[0] || g.in_w < a.kernel[1]))
    core::fail("{} got {}, want at least {} x {} pixels for a kernel without padding; use \"same\" or a smaller kernel",
               describe(layer), core::to_string(in), a.kernel[0], a.kernel[1]);
  if (int64_t{a.kernel[0]} * a.kernel[1] > kMaxElements)  // products of it and an output stay within 64 bits
    core::fail("{} kernel: got {} x {}, want at most {} pixels", describe(layer), a.kernel[0], a.kernel[1],
               kMaxElements);
  g.kernel_h = a.kernel[0];
  g.kernel_w = a.kernel[1];
  g.stride_h = a.stride[0];
  g.stride_w = a.stride[1];
  const Axis v = axis(g.in_h, g.kernel_h, g.stride_h, a.padding);
  const Axis h = axis(g.in_w, g.kernel_w, g.stride_w, a.padding);
  g.out_h = v.out;
  g.out_w = h.out;
  g.pad_top = v.pad_before;
  g.pad_left = h.pad_before;
  return w;
}

}  // namespace fdi::nn
