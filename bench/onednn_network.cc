#include "bench/onednn_network.h"

#include "core/error.h"

#ifdef FDI_HAVE_ONEDNN
#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nn/window.h"

namespace fdi::bench {
namespace {

using core::Shape;
using dnnl::memory;
using Tag = memory::format_tag;

// oneDNN names dimensions in the order N, C, H, W whatever the layout.
memory::dims dims_of(int batch, const Shape& s) {
  if (s.rank == 3) return {batch, s[2], s[0], s[1]};
  return {batch, s.size()};
}
memory::desc plain(const memory::dims& dims) {
  return {dims, memory::data_type::f32, dims.size() == 4 ? Tag::nhwc : Tag::nc};
}
memory::desc any(const memory::dims& dims) { return {dims, memory::data_type::f32, Tag::any}; }

}  // namespace

struct OnednnNetwork::Impl {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, memory> arguments;
  };
  std::vector<Step> steps;
  memory input, output;

  Ends ends = Ends::kPlain;

  // A value between two layers, in the layout that the second one wants: a step of the network where it must change.
  memory reordered(const memory& from, const memory::desc& wanted) {
    if (from.get_desc() == wanted) return from;
    memory to(wanted, engine);
    if (from.get() == input.get() && ends == Ends::kAny) return input = to;
    steps.push_back({dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}});
    return to;
  }

  // A weight in our layout: copied once, for the caller's may be gone by the time of run(), into oneDNN's.
  memory weight(const float* values, const memory::desc& ours, const memory::desc& wanted) {
    memory from(ours, engine, const_cast<float*>(values)), to(wanted, engine);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    return to;
  }

  static dnnl::primitive_attr relu_after(bool relu) {
    dnnl::primitive_attr attr;
    if (!relu) return attr;
    dnnl::post_ops after;
    after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    attr.set_post_ops(after);
    return attr;
  }

  memory convolution(const nn::LayerSpec& layer, const Shape& in, const memory& x, int batch, const float* w,
                     const float* bias) {
    kernels::ConvGeometry g = nn::window(layer, in).geometry;
    const Shape out = nn::output_shape(layer, std::span(&in, 1));
    const memory::dims weight_dims{out[2], in[2], g.kernel_h, g.kernel_w}, bias_dims{out[2]};
    const memory::dims end{(g.out_h - 1) * g.stride_h + g.kernel_h - g.in_h - g.pad_top,
                           (g.out_w - 1) * g.stride_w + g.kernel_w - g.in_w - g.pad_left};
    const auto x_desc = any(dims_of(batch, in)), y_desc = any(dims_of(batch, out));
    const memory::desc bias_desc(bias_dims, memory::data_type::f32, Tag::x);
    const memory::dims strides{g.stride_h, g.stride_w}, begin{g.pad_top, g.pad_left};
    using Forward = dnnl::convolution_forward;
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto algorithm = dnnl::algorithm::convolution_auto;
    const Forward::desc desc =
        bias ? Forward::desc(kind, algorithm, x_desc, any(weight_dims), bias_desc, y_desc, strides, begin, end)
             : Forward::desc(kind, algorithm, x_desc, any(weight_dims), y_desc, strides, begin, end);
    const Forward::primitive_desc pd(desc, relu_after(layer.attr.relu), engine);
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, reordered(x, pd.src_desc())},
        {DNNL_ARG_WEIGHTS, weight(w, {weight_dims, memory::data_type::f32, Tag::hwio}, pd.weights_desc())},
        {DNNL_ARG_DST, memory(pd.dst_desc(), engine)}};
    if (bias) arguments[DNNL_ARG_BIAS] = weight(bias, bias_desc, pd.bias_desc());
    return add(Forward(pd), std::move(arguments));
  }

  // `in` is the shape before a flatten: then the weight's rows are in NHWC's order.
  memory fully_connected(const nn::LayerSpec& layer, const Shape& in, const memory& x, int batch, const float* w,
                         const float* bias) {
    const int units = layer.attr.units;
    const memory::dims weight_dims =
        in.rank == 3 ? memory::dims{units, in[2], in[0], in[1]} : memory::dims{units, in.size()};
    const memory::desc ours(weight_dims, memory::data_type::f32, in.rank == 3 ? Tag::hwio : Tag::ba);
    const memory::desc bias_desc({units}, memory::data_type::f32, Tag::x);
    using Forward = dnnl::inner_product_forward;
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto x_desc = any(dims_of(batch, in)), y_desc = any({batch, units});
    const Forward::desc desc = bias ? Forward::desc(kind, x_desc, any(weight_dims), bias_desc, y_desc)
                                    : Forward::desc(kind, x_desc, any(weight_dims), y_desc);
    const Forward::primitive_desc pd(desc, relu_after(layer.attr.relu), engine);
    std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, reordered(x, pd.src_desc())},
                                              {DNNL_ARG_WEIGHTS, weight(w, ours, pd.weights_desc())},
                                              {DNNL_ARG_DST, memory(pd.dst_desc(), engine)}};
    if (bias) arguments[DNNL_ARG_BIAS] = weight(bias, bias_desc, pd.bias_desc());
    return add(Forward(pd), std::move(arguments));
  }

  memory pool(const nn::LayerSpec& layer, const Shape& in, const memory& x, int batch) {
    const bool global = layer.op == nn::Op::kGlobalAvgPool;
    memory::dims kernel{in[0], in[1]}, strides{1, 1}, begin{0, 0}, end{0, 0};
    Shape out{1, 1, in[2]};
    if (!global) {
      const kernels::ConvGeometry g = nn::window(layer, in).geometry;
      out = nn::output_shape(layer, std::span(&in, 1));
      kernel = {g.kernel_h, g.kernel_w};
      strides = {g.stride_h, g.stride_w};
      begin = {g.pad_top, g.pad_left};
      end = {(g.out_h - 1) * g.stride_h + g.kernel_h - g.in_h - g.pad_top,
             (g.out_w - 1) * g.stride_w + g.kernel_w - g.in_w - g.pad_left};
    }
    const auto algorithm =
        layer.op == nn::Op::kMaxPool ? dnnl::algorithm::pooling_max : dnnl::algorithm::pooling_avg_exclude_padding;
    using Forward = dnnl::pooling_forward;
    const Forward::primitive_desc pd(Forward::desc(dnnl::prop_kind::forward_inference, algorithm, x.get_desc(),
                                                   any(dims_of(batch, out)), strides, kernel, begin, end),
                                     engine);
    return add(Forward(pd), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, memory(pd.dst_desc(), engine)}});
  }

  memory relu(const memory& x) {
    using Forward = dnnl::eltwise_forward;
    const Forward::primitive_desc pd(
        Forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::eltwise_relu, x.get_desc(), 0.0F), engine);
    return add(Forward(pd), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, memory(pd.dst_desc(), engine)}});
  }

  memory sum(const nn::LayerSpec& layer, const memory& a, const memory& b) {
    const memory same = reordered(b, a.get_desc());
    const dnnl::binary::primitive_desc pd(
        dnnl::binary::desc(dnnl::algorithm::binary_add, a.get_desc(), same.get_desc(), a.get_desc()),
        relu_after(layer.attr.relu), engine);
    return add(dnnl::binary(pd),
               {{DNNL_ARG_SRC_0, a}, {DNNL_ARG_SRC_1, same}, {DNNL_ARG_DST, memory(pd.dst_desc(), engine)}});
  }

  memory add(const dnnl::primitive& primitive, std::unordered_map<int, memory> arguments) {
    steps.push_back({primitive, std::move(arguments)});
    return steps.back().arguments[DNNL_ARG_DST];
  }
};

OnednnNetwork::OnednnNetwork(const nn::NetworkSpec& fused, nn::Parameters& parameters, int batch, Ends ends)
    : impl_(std::make_unique<Impl>()) {
  Impl& net = *impl_;
  net.ends = ends;
  net.input = memory(plain(dims_of(batch, fused.input)), net.engine);
  const std::vector<Shape> shapes = nn::output_shapes(fused);
  std::vector<memory> values(fused.layers.size());
  std::vector<Shape> stored(fused.layers.size());  // a flatten keeps the image's shape here, for the fc behind it
  for (size_t i = 0; i < fused.layers.size(); ++i) {
    const nn::LayerSpec& layer = fused.layers[i];
    const auto value = [&](int from) { return from == nn::LayerSpec::kInput ? net.input : values[from]; };
    const auto shape = [&](int from) { return from == nn::LayerSpec::kInput ? fused.input : stored[from]; };
    const memory x = value(layer.inputs[0]);
    const Shape in = shape(layer.inputs[0]);
    const float *weight = nullptr, *bias = nullptr;
    for (const nn::Parameters::Entry& entry : parameters.entries()) {
      if (entry.layer != static_cast<int>(i)) continue;
      (entry.spec.name == "bias" ? bias : weight) = parameters.tensor(entry).data;
    }
    stored[i] = shapes[i];
    switch (layer.op) {
      case nn::Op::kConv2d:
        values[i] = net.convolution(layer, in, x, batch, weight, bias);
        break;
      case nn::Op::kFc:
        values[i] = net.fully_connected(layer, in, x, batch, weight, bias);
        break;
      case nn::Op::kGlobalAvgPool:
        stored[i] = Shape{1, 1, in[2]};
        [[fallthrough]];
      case nn::Op::kMaxPool:
      case nn::Op::kAvgPool:
        values[i] = net.pool(layer, in, x, batch);
        break;
      case nn::Op::kRelu:
        values[i] = net.relu(x);
        break;
      case nn::Op::kAdd:
        values[i] = net.sum(layer, x, value(layer.inputs[1]));
        break;
      case nn::Op::kFlatten:
      case nn::Op::kDropout:
      case nn::Op::kChannelDropout:  // inference: as it comes
        values[i] = x;
        stored[i] = in;
        break;
      default:
        core::fail("{}: the oneDNN peer has no {}; choose another network or --no-peers", nn::describe(layer),
                   nn::op_name(layer.op));
    }
  }
  const memory last = values.back();
  net.output = ends == Ends::kAny ? last : net.reordered(last, plain(last.get_desc().dims()));
  std::ranges::fill(input(), 0.5F);
}

OnednnNetwork::~OnednnNetwork() = default;

std::span<float> OnednnNetwork::input() {
  return {static_cast<float*>(impl_->input.get_data_handle()), impl_->input.get_desc().get_size() / sizeof(float)};
}

std::span<const float> OnednnNetwork::output() {
  return {static_cast<const float*>(impl_->output.get_data_handle()),
          impl_->output.get_desc().get_size() / sizeof(float)};
}

void OnednnNetwork::run() {
  for (Impl::Step& step : impl_->steps) step.primitive.execute(impl_->stream, step.arguments);
  impl_->stream.wait();
}

}  // namespace fdi::bench

#else  // without oneDNN nothing of this can be built; callers ask have_onednn() first

namespace fdi::bench {
struct OnednnNetwork::Impl {};
OnednnNetwork::OnednnNetwork(const nn::NetworkSpec&, nn::Parameters&, int, Ends) {
  core::fail("this program was built without oneDNN (Debian: libdnnl-dev)");
}
OnednnNetwork::~OnednnNetwork() = default;
std::span<float> OnednnNetwork::input() { return {}; }
std::span<const float> OnednnNetwork::output() { return {}; }
void OnednnNetwork::run() {}
}  // namespace fdi::bench
#endif
