// A network made of oneDNN primitives: layouts of oneDNN's own choice, weights reordered beforehand, ReLU as a
// post-operation. Shared by the files engine_onednn*.cc; everybody else asks make_engine("onednn").
#pragma once
#ifdef FDI_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "device/engine.h"

namespace fdi::device::onednn {

using dnnl::memory;
using nn::Shape;
using Tag = memory::format_tag;

// What a layer puts out. After a flatten or a global pool `stored` is still an image, in a blocked layout perhaps,
// which a fc reads as it is; `shape` is what the spec says.
struct Value {
  memory data;
  Shape stored, shape;
};

struct LayerCall {
  const nn::LayerSpec& layer;
  std::vector<Value> x;
  Shape out;
  const nn::Parameters& parameters;
  const float* weight(std::string_view name) const;  // in our layout; null where the layer has none of that name
};

// oneDNN names dimensions in the order N, C, H, W and T, N, C whatever the layout. A sequence of images is a batch.
memory::dims dims_of(int batch, const Shape& shape);
memory::desc plain(int batch, const Shape& shape);  // our layout: row-major (batch, shape...)
inline memory::desc any(const memory::dims& dims) { return {dims, memory::data_type::f32, Tag::any}; }
inline memory::desc f32(const memory::dims& dims, Tag tag) { return {dims, memory::data_type::f32, tag}; }

class Network final : public Prepared {
 public:
  Network(const nn::NetworkSpec& fused, const nn::Parameters& parameters, bool plain_ends, int batch);
  std::span<float> input() override;
  std::span<const float> output() override;
  using Prepared::run;
  void run(const AfterLayer* after) override;
  static bool supports(nn::Op op);

 private:
  using Arguments = std::unordered_map<int, memory>;
  struct Step {
    dnnl::primitive primitive;
    Arguments arguments;
    int layer;  // of the spec, that needs it
  };
  using LayerFunction = Value (Network::*)(const LayerCall&);
  static LayerFunction function_of(nn::Op op);  // null: not supported

  // engine_onednn_layers.cc
  Value convolution(const LayerCall& call);
  Value fully_connected(const LayerCall& call);
  Value pool(const LayerCall& call);
  Value batch_norm(const LayerCall& call);
  Value activation(const LayerCall& call);
  Value sum(const LayerCall& call);
  Value concat(const LayerCall& call);
  Value slice(const LayerCall& call);
  Value time_mean(const LayerCall& call);
  Value pass(const LayerCall& call);  // flatten, and dropout, which does nothing here
  Value reshape(const LayerCall& call);
  memory::desc liked_layout(const Shape& image) const;  // what a convolution hands over
  // engine_onednn_rnn.cc
  Value gru(const LayerCall& call);
  Value lstm(const LayerCall& call);
  template <class Forward>
  Value recurrent(const LayerCall& call, const typename Forward::desc& desc, const memory& x);

  // The value in the layout wanted: a step of the network where it must change. The input of a network without plain
  // ends becomes what its first reader wants instead.
  memory reordered(const memory& from, const memory::desc& wanted);
  // The value's memory under another shape of as many elements: in our layout unless it has that shape anyway.
  memory with_shape(const Value& value, const Shape& shape);
  memory rows(const Value& value);  // (all but the last axis, last axis)
  // The same memory seen otherwise; it stays alive as long as the network.
  memory view(const memory& of, const memory::desc& desc);
  // A weight in our layout: copied once into oneDNN's, for the caller's may be gone by the time of run().
  memory weight(const float* values, const memory::desc& ours, const memory::desc& wanted);
  memory add(const dnnl::primitive& primitive, Arguments arguments);  // returns DNNL_ARG_DST

  const int batch_;
  const bool plain_ends_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::vector<Step> steps_;
  std::vector<memory> viewed_;
  memory input_, output_;
  int layer_ = 0;            // that is being made
  bool input_read_ = false;  // by a step: its layout is settled
};

}  // namespace fdi::device::onednn
#endif
