#include "bench/onednn_rnn.h"

#include "core/error.h"

#ifdef FDI_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/rng.h"

namespace fdi::bench {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

memory::desc f32(const memory::dims& dims, Tag tag) { return {dims, memory::data_type::f32, tag}; }

}  // namespace

struct OnednnRnn::Impl {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<std::pair<dnnl::primitive, std::unordered_map<int, memory>>> steps;
  core::Rng rng{1, core::Stream::kTest};

  // Small random values, written in a plain layout and reordered: a blocked layout's padding must stay zero.
  memory random(const memory::desc& wanted, Tag plain) {
    memory from(f32(wanted.dims(), plain), engine), to(wanted, engine);
    auto* values = static_cast<float*>(from.get_data_handle());
    for (size_t i = 0; i < from.get_desc().get_size() / sizeof(float); ++i) values[i] = rng.uniform(-0.1F, 0.1F);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    return to;
  }

  // Adds one layer that reads x (step, batch, in); returns its output.
  template <class Forward>
  memory add(const typename Forward::desc& desc, const memory& x) {
    const typename Forward::primitive_desc pd(desc, engine);
    memory y(pd.dst_layer_desc(), engine);
    steps.push_back({Forward(pd),
                     {{DNNL_ARG_SRC_LAYER, x},
                      {DNNL_ARG_WEIGHTS_LAYER, random(pd.weights_layer_desc(), Tag::ldigo)},
                      {DNNL_ARG_WEIGHTS_ITER, random(pd.weights_iter_desc(), Tag::ldigo)},
                      {DNNL_ARG_BIAS, random(pd.bias_desc(), Tag::ldgo)},
                      {DNNL_ARG_DST_LAYER, y}}});
    return y;
  }
};

OnednnRnn::OnednnRnn(const nn::NetworkSpec& spec, int batch) : impl_(std::make_unique<Impl>()) {
  const int steps = spec.input[0];
  int in = spec.input[1];
  memory x = impl_->random(f32({steps, batch, in}, Tag::tnc), Tag::tnc);
  const memory::desc none;
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto direction = dnnl::rnn_direction::unidirectional_left2right;
  for (const nn::LayerSpec& layer : spec.layers) {
    const bool gru = layer.op == nn::Op::kGru && layer.attr.reset_after;
    if (!gru && layer.op != nn::Op::kLstm)
      core::fail("{}: the oneDNN peer has gru with reset_after and lstm only", nn::describe(layer));
    const int units = layer.attr.units, gates = gru ? 3 : 4;
    const memory::desc weight = f32({1, 1, in, gates, units}, Tag::any),
                       iter = f32({1, 1, units, gates, units}, Tag::any);
    const memory::desc bias = f32({1, 1, 4, units}, Tag::ldgo), y = f32({steps, batch, units}, Tag::tnc);
    if (gru)
      x = impl_->add<dnnl::lbr_gru_forward>({kind, direction, x.get_desc(), none, weight, iter, bias, y, none}, x);
    else
      x = impl_->add<dnnl::lstm_forward>({kind, direction, x.get_desc(), none, none, weight, iter, bias, y, none, none},
                                         x);
    in = units;
  }
}

OnednnRnn::~OnednnRnn() = default;

void OnednnRnn::run() {
  for (auto& [primitive, arguments] : impl_->steps) primitive.execute(impl_->stream, arguments);
  impl_->stream.wait();
}

}  // namespace fdi::bench

#else

namespace fdi::bench {
struct OnednnRnn::Impl {};
OnednnRnn::OnednnRnn(const nn::NetworkSpec&, int) {
  core::fail("this program was built without oneDNN (Debian: libdnnl-dev)");
}
OnednnRnn::~OnednnRnn() = default;
void OnednnRnn::run() {}
}  // namespace fdi::bench
#endif
