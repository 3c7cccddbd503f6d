// XNNPACK's operators for all layers that it has. Called by the walk in engine_xnnpack.cc.
#include "device/engine_xnnpack.h"

#ifdef FDI_HAVE_XNNPACK
#include <algorithm>

#include "kernels/batch_norm.h"
#include "nn/window.h"

namespace fdi::device::xnnpack {
namespace {

struct WindowPadding {
  uint32_t top, right, bottom, left;
};
// XNNPACK derives the output's size from these, and comes to ours: what no whole window covers is left out.
WindowPadding padding(const kernels::ConvGeometry& g) {
  const auto after = [](int out, int stride, int kernel, int in, int before) {
    return static_cast<uint32_t>(std::max((out - 1) * stride + kernel - in - before, 0));
  };
  return {static_cast<uint32_t>(g.pad_top), after(g.out_w, g.stride_w, g.kernel_w, g.in_w, g.pad_left),
          after(g.out_h, g.stride_h, g.kernel_h, g.in_h, g.pad_top), static_cast<uint32_t>(g.pad_left)};
}

// Elements of the axes from `axis` on: what lies together in memory.
int64_t block(const Shape& shape, int axis) {
  int64_t n = 1;
  for (int i = axis; i < shape.rank; ++i) n *= shape[i];
  return n;
}

}  // namespace

void Network::convolution(const LayerCall& call) {
  const nn::Window w = nn::window(call.layer, call.in[0]);
  const kernels::ConvGeometry& g = w.geometry;
  const WindowPadding pad = padding(g);
  const auto in = static_cast<size_t>(g.in_channel), out = static_cast<size_t>(call.layer.attr.units);
  const size_t patch = static_cast<size_t>(g.kernel_h) * static_cast<size_t>(g.kernel_w) * in;
  std::vector<float> kernel(patch * out);  // (out, height, width, in); ours: out last
  const float* ours = call.weight("weight");
  for (size_t i = 0; i < patch; ++i)
    for (size_t o = 0; o < out; ++o) kernel[o * patch + i] = ours[i * out + o];
  add(
      call,
      [&](xnn_operator_t* op) {
        return xnn_create_convolution2d_nhwc_f32(pad.top, pad.right, pad.bottom, pad.left, g.kernel_h, g.kernel_w,
                                                 g.stride_h, g.stride_w, 1, 1, 1, in, out, in, out, kernel.data(),
                                                 call.weight("bias"), call.lowest(), kInfinity, 0, op);
      },
      [&](xnn_operator_t op) {
        return xnn_setup_convolution2d_nhwc_f32(op, static_cast<size_t>(batch_) * w.steps, g.in_h, g.in_w, call.x[0],
                                                call.y, pool_.get());
      });
}

void Network::fully_connected(const LayerCall& call) {
  const auto in = static_cast<size_t>(call.in[0].back()), out = static_cast<size_t>(call.layer.attr.units);
  add(
      call,
      [&](xnn_operator_t* op) {
        return xnn_create_fully_connected_nc_f32(in, out, in, out, call.weight("weight"), call.weight("bias"),
                                                 call.lowest(), kInfinity, XNN_FLAG_TRANSPOSE_WEIGHTS, op);
      },
      [&](xnn_operator_t op) {
        return xnn_setup_fully_connected_nc_f32(op, rows_of(call.out), call.x[0], call.y, pool_.get());
      });
}

// A 1x1 convolution with a group for each channel: XNNPACK has a kernel of its own for that, scale and shift.
void Network::batch_norm(const LayerCall& call) {
  const auto channel = static_cast<size_t>(call.out.back());
  std::vector<float> scale(channel), shift(channel);
  kernels::batch_norm_fold(call.out.back(), call.layer.attr.epsilon, call.weight("gamma"), call.weight("beta"),
                           call.weight("running_mean"), call.weight("running_var"), scale.data(), shift.data());
  add(
      call,
      [&](xnn_operator_t* op) {
        return xnn_create_convolution2d_nhwc_f32(0, 0, 0, 0, 1, 1, 1, 1, 1, 1, static_cast<uint32_t>(channel), 1, 1,
                                                 channel, channel, scale.data(), shift.data(), call.lowest(), kInfinity,
                                                 0, op);
      },
      [&](xnn_operator_t op) {
        return xnn_setup_convolution2d_nhwc_f32(op, 1, rows_of(call.out), 1, call.x[0], call.y, pool_.get());
      });
}

void Network::pool(const LayerCall& call) {
  const nn::Window w = nn::window(call.layer, call.in[0]);
  const kernels::ConvGeometry& g = w.geometry;
  const WindowPadding pad = padding(g);
  const auto channel = static_cast<size_t>(g.in_channel), images = static_cast<size_t>(batch_) * w.steps;
  const bool maximum = call.layer.op == Op::kMaxPool;
  add(
      call,
      [&](xnn_operator_t* op) {
        return maximum ? xnn_create_max_pooling2d_nhwc_f32(pad.top, pad.right, pad.bottom, pad.left, g.kernel_h,
                                                           g.kernel_w, g.stride_h, g.stride_w, 1, 1, channel, channel,
                                                           channel, -kInfinity, kInfinity, 0, op)
                       : xnn_create_average_pooling2d_nhwc_f32(pad.top, pad.right, pad.bottom, pad.left, g.kernel_h,
                                                               g.kernel_w, g.stride_h, g.stride_w, channel, channel,
                                                               channel, -kInfinity, kInfinity, 0, op);
      },
      [&](xnn_operator_t op) {
        const auto setup = maximum ? xnn_setup_max_pooling2d_nhwc_f32 : xnn_setup_average_pooling2d_nhwc_f32;
        return setup(op, images, g.in_h, g.in_w, call.x[0], call.y, pool_.get());
      });
}

void Network::mean(const LayerCall& call) {
  const auto channel = static_cast<size_t>(call.out.back());
  add(
      call,
      [&](xnn_operator_t* op) {
        return xnn_create_global_average_pooling_nwc_f32(channel, channel, channel, -kInfinity, kInfinity, 0, op);
      },
      [&](xnn_operator_t op) {
        return xnn_setup_global_average_pooling_nwc_f32(op, static_cast<size_t>(batch_),
                                                        static_cast<size_t>(call.in[0].size()) / channel, call.x[0],
                                                        call.y, pool_.get());
      });
}

void Network::relu(const LayerCall& call) {
  const auto channel = static_cast<size_t>(call.out.back());
  add(
      call,
      [&](xnn_operator_t* op) { return xnn_create_clamp_nc_f32(channel, channel, channel, 0.0F, kInfinity, 0, op); },
      [&](xnn_operator_t op) { return xnn_setup_clamp_nc_f32(op, rows_of(call.out), call.x[0], call.y, pool_.get()); });
}

void Network::sigmoid(const LayerCall& call) {
  const auto channel = static_cast<size_t>(call.out.back());
  add(
      call, [&](xnn_operator_t* op) { return xnn_create_sigmoid_nc_f32(channel, channel, channel, 0, op); },
      [&](xnn_operator_t op) {
        return xnn_setup_sigmoid_nc_f32(op, rows_of(call.out), call.x[0], call.y, pool_.get());
      });
}

void Network::sum(const LayerCall& call) {
  const size_t size = static_cast<size_t>(batch_ * call.out.size());
  const float* total = call.x[0];
  for (size_t i = 1; i < call.x.size(); ++i) {
    const float lowest = i + 1 == call.x.size() ? call.lowest() : -kInfinity;
    add(
        call, [&](xnn_operator_t* op) { return xnn_create_add_nd_f32(lowest, kInfinity, 0, op); },
        [&](xnn_operator_t op) {
          return xnn_setup_add_nd_f32(op, 1, &size, 1, &size, total, call.x[i], call.y, pool_.get());
        });
    total = call.y;
  }
}

void Network::copy_rows(const LayerCall& call, int64_t rows, int64_t floats, const float* from, int64_t from_stride,
                        float* to, int64_t to_stride) {
  add(
      call,
      [&](xnn_operator_t* op) {
        return xnn_create_copy_nc_x32(static_cast<size_t>(floats), static_cast<size_t>(from_stride),
                                      static_cast<size_t>(to_stride), 0, op);
      },
      [&](xnn_operator_t op) { return xnn_setup_copy_nc_x32(op, static_cast<size_t>(rows), from, to, pool_.get()); });
}

void Network::concat(const LayerCall& call) {
  const int axis = call.layer.attr.axis;
  const int64_t row = block(call.out, axis), rows = batch_ * call.out.size() / row;
  float* to = call.y;
  for (size_t i = 0; i < call.x.size(); ++i) {
    const int64_t floats = block(call.in[i], axis);
    copy_rows(call, rows, floats, call.x[i], floats, to, row);
    to += floats;
  }
}

void Network::slice(const LayerCall& call) {
  const nn::Attributes& a = call.layer.attr;
  const int64_t row = block(call.in[0], a.axis), kept = block(call.out, a.axis);
  copy_rows(call, batch_ * call.in[0].size() / row, kept, call.x[0] + a.begin * (row / call.in[0][a.axis]), row, call.y,
            kept);
}

}  // namespace fdi::device::xnnpack
#endif
