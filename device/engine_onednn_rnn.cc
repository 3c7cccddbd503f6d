// oneDNN's recurrent primitives. Its GRU has the gates in another order than ours: z (update), r (reset), n.
#include "device/engine_onednn.h"

#ifdef FDI_HAVE_ONEDNN
#include <algorithm>

namespace fdi::device::onednn {
namespace {

// (rows, gates, units) with the gates in the order given.
std::vector<float> reordered_gates(const float* from, int rows, int units, const std::vector<int>& order) {
  std::vector<float> out;
  const auto gates = static_cast<int64_t>(order.size());
  out.reserve(static_cast<size_t>(rows * gates * units));
  for (int row = 0; row < rows; ++row)
    for (const int gate : order) {
      const float* block = from + (row * gates + gate) * units;
      out.insert(out.end(), block, block + units);
    }
  return out;
}

const std::vector<int> kGruOrder{1, 0, 2};      // ours: r, z, n
const std::vector<int> kLstmOrder{0, 1, 2, 3};  // i, f, g, o in both

const std::vector<int>& order_of(const nn::LayerSpec& layer) {
  return layer.op == nn::Op::kGru ? kGruOrder : kLstmOrder;
}

}  // namespace

template <class Forward>
Value Network::recurrent(const LayerCall& call, const typename Forward::desc& desc, const memory& x) {
  const int in = call.x[0].shape[1], units = call.layer.attr.units;
  const std::vector<int>& order = order_of(call.layer);
  const auto gates = static_cast<memory::dim>(order.size());
  const std::vector<float> input = reordered_gates(call.weight("input_weight"), in, units, order);
  const std::vector<float> hidden = reordered_gates(call.weight("hidden_weight"), units, units, order);
  std::vector<float> bias = reordered_gates(call.weight("bias"), 1, units, order);
  if (const float* second = call.weight("bias_hidden"); second != nullptr) {  // r, z: added up; n: oneDNN's fourth
    const std::vector<float> other = reordered_gates(second, 1, units, order);
    for (int i = 0; i < 2 * units; ++i) bias[static_cast<size_t>(i)] += other[static_cast<size_t>(i)];
    bias.insert(bias.end(), other.end() - units, other.end());
  }
  const memory::desc bias_desc = f32({1, 1, static_cast<memory::dim>(bias.size()) / units, units}, Tag::ldgo);
  const typename Forward::primitive_desc pd(desc, engine_);
  const memory y(pd.dst_layer_desc(), engine_);
  add(Forward(pd), {{DNNL_ARG_SRC_LAYER, x},
                    {DNNL_ARG_WEIGHTS_LAYER,
                     weight(input.data(), f32({1, 1, in, gates, units}, Tag::ldigo), pd.weights_layer_desc())},
                    {DNNL_ARG_WEIGHTS_ITER,
                     weight(hidden.data(), f32({1, 1, units, gates, units}, Tag::ldigo), pd.weights_iter_desc())},
                    {DNNL_ARG_BIAS, weight(bias.data(), bias_desc, pd.bias_desc())},
                    {DNNL_ARG_DST_LAYER, y}});
  return {y, call.out, call.out};
}

namespace {

struct Descs {
  memory::desc x, input_weight, hidden_weight, bias, y;
  static constexpr auto kind = dnnl::prop_kind::forward_inference;
  static constexpr auto direction = dnnl::rnn_direction::unidirectional_left2right;
  Descs(const LayerCall& call, int batch, int gates, int biases) {
    const Shape& in = call.x[0].shape;
    const int units = call.layer.attr.units;
    x = f32(dims_of(batch, in), Tag::tnc);
    input_weight = any({1, 1, in[1], gates, units});
    hidden_weight = any({1, 1, units, gates, units});
    bias = f32({1, 1, biases, units}, Tag::ldgo);
    y = f32(dims_of(batch, call.out), Tag::tnc);
  }
};

}  // namespace

Value Network::gru(const LayerCall& call) {
  const bool after = call.layer.attr.reset_after;
  const Descs d(call, batch_, 3, after ? 4 : 3);
  const memory x = reordered(with_shape(call.x[0], call.x[0].shape), d.x);
  const memory::desc none;  // no state goes in or out
  if (after)
    return recurrent<dnnl::lbr_gru_forward>(
        call, {d.kind, d.direction, d.x, none, d.input_weight, d.hidden_weight, d.bias, d.y, none}, x);
  return recurrent<dnnl::gru_forward>(
      call, {d.kind, d.direction, d.x, none, d.input_weight, d.hidden_weight, d.bias, d.y, none}, x);
}

Value Network::lstm(const LayerCall& call) {
  const Descs d(call, batch_, 4, 4);
  const memory x = reordered(with_shape(call.x[0], call.x[0].shape), d.x);
  const memory::desc none;
  return recurrent<dnnl::lstm_forward>(
      call, {d.kind, d.direction, d.x, none, none, d.input_weight, d.hidden_weight, d.bias, d.y, none, none}, x);
}

}  // namespace fdi::device::onednn
#endif
