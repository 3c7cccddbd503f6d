// oneDNN's primitives for all layers without a state. Called by the walk in engine_onednn.cc.
#include "device/engine_onednn.h"

#ifdef FDI_HAVE_ONEDNN
#include <array>

#include "nn/window.h"

namespace fdi::device::onednn {
namespace {

constexpr auto kInference = dnnl::prop_kind::forward_inference;

dnnl::primitive_attr relu_after(bool relu) {
  dnnl::primitive_attr attr;
  if (!relu) return attr;
  dnnl::post_ops after;
  after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
  attr.set_post_ops(after);
  return attr;
}

struct WindowDims {
  memory::dims kernel, stride, begin, end;
};
WindowDims window_dims(const kernels::ConvGeometry& g) {
  return {{g.kernel_h, g.kernel_w},
          {g.stride_h, g.stride_w},
          {g.pad_top, g.pad_left},
          {(g.out_h - 1) * g.stride_h + g.kernel_h - g.in_h - g.pad_top,
           (g.out_w - 1) * g.stride_w + g.kernel_w - g.in_w - g.pad_left}};
}

// Which of oneDNN's dimensions is our axis.
int dimension_of(const Shape& shape, int axis) {
  constexpr std::array<std::array<int, 4>, 4> kDimension{{{1}, {0, 2}, {2, 3, 1}, {0, 2, 3, 1}}};
  return kDimension[static_cast<size_t>(shape.rank - 1)][static_cast<size_t>(axis)];
}

}  // namespace

Value Network::convolution(const LayerCall& call) {
  const Shape& in = call.x[0].shape;
  const WindowDims w = window_dims(nn::window(call.layer, in).geometry);
  const float* bias = call.weight("bias");
  const int units = call.layer.attr.units;
  const memory::dims weight_dims{units, in.back(), w.kernel[0], w.kernel[1]};
  const auto x_desc = any(dims_of(batch_, in)), y_desc = any(dims_of(batch_, call.out));
  const memory::desc bias_desc = f32({units}, Tag::x);
  using Forward = dnnl::convolution_forward;
  const auto algorithm = dnnl::algorithm::convolution_auto;
  const Forward::desc desc =
      bias != nullptr
          ? Forward::desc(kInference, algorithm, x_desc, any(weight_dims), bias_desc, y_desc, w.stride, w.begin, w.end)
          : Forward::desc(kInference, algorithm, x_desc, any(weight_dims), y_desc, w.stride, w.begin, w.end);
  const Forward::primitive_desc pd(desc, relu_after(call.layer.attr.relu), engine_);
  Arguments arguments{{DNNL_ARG_SRC, reordered(with_shape(call.x[0], in), pd.src_desc())},
                      {DNNL_ARG_WEIGHTS, weight(call.weight("weight"), f32(weight_dims, Tag::hwio), pd.weights_desc())},
                      {DNNL_ARG_DST, memory(pd.dst_desc(), engine_)}};
  if (bias != nullptr) arguments[DNNL_ARG_BIAS] = weight(bias, bias_desc, pd.bias_desc());
  return {add(Forward(pd), std::move(arguments)), call.out, call.out};
}

memory::desc Network::liked_layout(const Shape& image) const {
  using Forward = dnnl::convolution_forward;
  const auto desc = any(dims_of(batch_, image));
  const Forward::desc conv(kInference, dnnl::algorithm::convolution_auto, desc, any({image.back(), image.back(), 3, 3}),
                           desc, {1, 1}, {1, 1}, {1, 1});
  return Forward::primitive_desc(conv, engine_).dst_desc();
}

// Of an image that was flattened, the weight's rows are in NHWC's order: a fc over the image, without reordering it.
Value Network::fully_connected(const LayerCall& call) {
  const Value& x = call.x[0];
  const int units = call.layer.attr.units;
  const bool image = x.stored.rank == 3;
  const Shape in = image ? x.stored : Shape{x.shape.back()};
  const memory from = x.shape.rank == 2 ? rows(x) : image ? x.data : with_shape(x, x.shape);
  const memory::dims rows_dims = from.get_desc().dims();
  const memory::dims weight_dims = image ? memory::dims{units, in[2], in[0], in[1]} : memory::dims{units, in[0]};
  const auto y_desc = f32({rows_dims[0], units}, Tag::nc);
  const memory::desc bias_desc = f32({units}, Tag::x);
  const float* bias = call.weight("bias");
  using Forward = dnnl::inner_product_forward;
  const Forward::desc desc = bias != nullptr
                                 ? Forward::desc(kInference, any(rows_dims), any(weight_dims), bias_desc, y_desc)
                                 : Forward::desc(kInference, any(rows_dims), any(weight_dims), y_desc);
  const Forward::primitive_desc pd(desc, relu_after(call.layer.attr.relu), engine_);
  const memory y(plain(batch_, call.out), engine_);  // oneDNN sees its rows
  Arguments arguments{{DNNL_ARG_SRC, reordered(from, pd.src_desc())},
                      {DNNL_ARG_WEIGHTS,
                       weight(call.weight("weight"), f32(weight_dims, image ? Tag::hwio : Tag::ba), pd.weights_desc())},
                      {DNNL_ARG_DST, view(y, pd.dst_desc())}};
  if (bias != nullptr) arguments[DNNL_ARG_BIAS] = weight(bias, bias_desc, pd.bias_desc());
  add(Forward(pd), std::move(arguments));
  return {y, call.out, call.out};
}

Value Network::pool(const LayerCall& call) {
  const Shape& in = call.x[0].shape;
  const bool global = call.layer.op == nn::Op::kGlobalAvgPool;
  const Shape out = global ? Shape{1, 1, in[2]} : call.out;
  const WindowDims w =
      global ? WindowDims{{in[0], in[1]}, {1, 1}, {0, 0}, {0, 0}} : window_dims(nn::window(call.layer, in).geometry);
  const auto algorithm =
      call.layer.op == nn::Op::kMaxPool ? dnnl::algorithm::pooling_max : dnnl::algorithm::pooling_avg_exclude_padding;
  const memory x = with_shape(call.x[0], in);
  using Forward = dnnl::pooling_forward;
  const Forward::desc desc(kInference, algorithm, x.get_desc(), any(dims_of(batch_, out)), w.stride, w.kernel, w.begin,
                           w.end);
  const Forward::primitive_desc pd(desc, engine_);
  return {add(Forward(pd), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, memory(pd.dst_desc(), engine_)}}), out, call.out};
}

Value Network::batch_norm(const LayerCall& call) {
  const Value& x = call.x[0];
  const bool image = x.shape.rank >= 3;
  const memory from = image ? with_shape(x, x.shape) : rows(x);
  using Flags = dnnl::normalization_flags;
  Flags flags = Flags::use_global_stats | Flags::use_scale | Flags::use_shift;
  if (call.layer.attr.relu) flags = flags | Flags::fuse_norm_relu;
  using Forward = dnnl::batch_normalization_forward;
  const Forward::primitive_desc pd(Forward::desc(kInference, from.get_desc(), call.layer.attr.epsilon, flags), engine_);
  const memory::desc channel = f32({x.shape.back()}, Tag::x);
  const auto vector = [&](const char* name) { return weight(call.weight(name), channel, channel); };
  const memory y(image ? pd.dst_desc() : plain(batch_, call.out), engine_);
  add(Forward(pd), {{DNNL_ARG_SRC, from},
                    {DNNL_ARG_MEAN, vector("running_mean")},
                    {DNNL_ARG_VARIANCE, vector("running_var")},
                    {DNNL_ARG_SCALE, vector("gamma")},
                    {DNNL_ARG_SHIFT, vector("beta")},
                    {DNNL_ARG_DST, view(y, pd.dst_desc())}});
  return {y, call.out, call.out};
}

Value Network::activation(const LayerCall& call) {
  const Value& x = call.x[0];
  const auto algorithm = call.layer.op == nn::Op::kRelu   ? dnnl::algorithm::eltwise_relu
                         : call.layer.op == nn::Op::kTanh ? dnnl::algorithm::eltwise_tanh
                                                          : dnnl::algorithm::eltwise_logistic;
  using Forward = dnnl::eltwise_forward;
  const Forward::primitive_desc pd(Forward::desc(kInference, algorithm, x.data.get_desc(), 0.0F, 0.0F), engine_);
  return {add(Forward(pd), {{DNNL_ARG_SRC, x.data}, {DNNL_ARG_DST, memory(pd.dst_desc(), engine_)}}), x.stored,
          call.out};
}

Value Network::sum(const LayerCall& call) {
  memory total = with_shape(call.x[0], call.out);
  for (size_t i = 1; i < call.x.size(); ++i) {
    const memory other = reordered(with_shape(call.x[i], call.out), total.get_desc());
    const bool relu = call.layer.attr.relu && i + 1 == call.x.size();
    const dnnl::binary::primitive_desc pd(
        dnnl::binary::desc(dnnl::algorithm::binary_add, total.get_desc(), other.get_desc(), total.get_desc()),
        relu_after(relu), engine_);
    total = add(dnnl::binary(pd),
                {{DNNL_ARG_SRC_0, total}, {DNNL_ARG_SRC_1, other}, {DNNL_ARG_DST, memory(pd.dst_desc(), engine_)}});
  }
  return {total, call.out, call.out};
}

Value Network::concat(const LayerCall& call) {
  std::vector<memory::desc> descs;
  Arguments arguments;
  for (size_t i = 0; i < call.x.size(); ++i) {
    const memory x = with_shape(call.x[i], call.x[i].shape);
    descs.push_back(x.get_desc());
    arguments[DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i)] = x;
  }
  const dnnl::concat::primitive_desc pd(dimension_of(call.out, call.layer.attr.axis), descs, engine_);
  arguments[DNNL_ARG_DST] = memory(pd.dst_desc(), engine_);
  return {add(dnnl::concat(pd), std::move(arguments)), call.out, call.out};
}

// A copy out of part of a tensor in our layout: parts of blocked ones need not begin at a block.
Value Network::slice(const LayerCall& call) {
  const Shape& in = call.x[0].shape;
  const memory x = reordered(with_shape(call.x[0], in), plain(batch_, in));
  memory::dims begin(x.get_desc().dims().size(), 0);
  begin[static_cast<size_t>(dimension_of(in, call.layer.attr.axis))] = call.layer.attr.begin;
  const memory part = view(x, x.get_desc().submemory_desc(dims_of(batch_, call.out), begin));
  const memory y(plain(batch_, call.out), engine_);
  add(dnnl::reorder(part, y), {{DNNL_ARG_FROM, part}, {DNNL_ARG_TO, y}});
  return {y, call.out, call.out};
}

Value Network::time_mean(const LayerCall& call) {
  const Shape& in = call.x[0].shape;
  const memory x = with_shape(call.x[0], in);
  const Shape one_step{1, in[1]};
  const dnnl::reduction::primitive_desc pd(
      dnnl::reduction::desc(dnnl::algorithm::reduction_mean, x.get_desc(), plain(batch_, one_step), 0.0F, 0.0F),
      engine_);
  return {add(dnnl::reduction(pd), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, memory(pd.dst_desc(), engine_)}}), one_step,
          call.out};
}

Value Network::pass(const LayerCall& call) { return {call.x[0].data, call.x[0].stored, call.out}; }

Value Network::reshape(const LayerCall& call) { return {with_shape(call.x[0], call.out), call.out, call.out}; }

}  // namespace fdi::device::onednn
#endif
