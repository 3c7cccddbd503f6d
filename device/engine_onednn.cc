// oneDNN as an engine under test: the walk over the layers, layouts between them, and what each op is made of.
// Its threads are OpenMP's of this process, so that core::set_threads decides on their number.
#include "device/engine_onednn.h"

#ifdef FDI_HAVE_ONEDNN
#include <fmt/format.h>

#include <utility>

#include "core/error.h"

namespace fdi::device {
namespace onednn {

const float* LayerCall::weight(std::string_view name) const {
  const nn::Parameters::Entry* entry = parameters.find(fmt::format("{}.{}", layer.name, name));
  return entry == nullptr ? nullptr : parameters.tensor(*entry).data;
}

memory::dims dims_of(int batch, const Shape& s) {
  switch (s.rank) {
    case 1:
      return {batch, s[0]};
    case 2:
      return {s[0], batch, s[1]};
    case 3:
      return {batch, s[2], s[0], s[1]};
    default:
      return {memory::dim{batch} * s[0], s[3], s[1], s[2]};
  }
}

memory::desc plain(int batch, const Shape& s) {
  if (s.rank == 1) return f32(dims_of(batch, s), Tag::nc);
  // For one sequence both orders are the same memory, but not the same descriptor.
  if (s.rank == 2) return f32(dims_of(batch, s), batch == 1 ? Tag::tnc : Tag::ntc);
  return f32(dims_of(batch, s), Tag::nhwc);
}

Network::LayerFunction Network::function_of(nn::Op op) {
  switch (op) {
    case nn::Op::kConv2d:
      return &Network::convolution;
    case nn::Op::kFc:
      return &Network::fully_connected;
    case nn::Op::kBatchNorm:
      return &Network::batch_norm;
    case nn::Op::kRelu:
    case nn::Op::kTanh:
    case nn::Op::kSigmoid:
      return &Network::activation;
    case nn::Op::kMaxPool:
    case nn::Op::kAvgPool:
    case nn::Op::kGlobalAvgPool:
      return &Network::pool;
    case nn::Op::kDropout:
    case nn::Op::kChannelDropout:
    case nn::Op::kMask:
    case nn::Op::kFlatten:
      return &Network::pass;
    case nn::Op::kReshape:
      return &Network::reshape;
    case nn::Op::kSlice:
      return &Network::slice;
    case nn::Op::kConcat:
      return &Network::concat;
    case nn::Op::kAdd:
      return &Network::sum;
    case nn::Op::kGru:
      return &Network::gru;
    case nn::Op::kLstm:
      return &Network::lstm;
    case nn::Op::kTimeMean:
      return &Network::time_mean;
  }
  return nullptr;
}

bool Network::supports(nn::Op op) { return function_of(op) != nullptr; }

Network::Network(const nn::NetworkSpec& fused, const nn::Parameters& parameters, bool plain_ends, int batch)
    : batch_(batch), plain_ends_(plain_ends) {
  const bool image = fused.input.rank >= 3;
  input_ = memory(image && !plain_ends ? liked_layout(fused.input) : plain(batch, fused.input), engine_);
  const std::vector<Shape> shapes = nn::output_shapes(fused);
  std::vector<Value> values;
  for (size_t i = 0; i < fused.layers.size(); ++i) {
    layer_ = static_cast<int>(i);
    LayerCall call{fused.layers[i], {}, shapes[i], parameters};
    for (const int from : call.layer.inputs)
      call.x.push_back(from == nn::LayerSpec::kInput ? Value{input_, fused.input, fused.input} : values[from]);
    const LayerFunction make = function_of(call.layer.op);
    if (make == nullptr) core::fail("{}: engine onednn has no {}", nn::describe(call.layer), op_name(call.layer.op));
    try {
      values.push_back((this->*make)(call));
    } catch (const dnnl::error& e) {
      core::fail("{}: oneDNN cannot run it: {}", nn::describe(call.layer), e.what());
    }
  }
  const Value& last = values.back();
  output_ = plain_ends ? reordered(last.data, plain(batch, last.stored)) : last.data;
}

memory Network::reordered(const memory& from, const memory::desc& wanted) {
  if (from.get_desc() == wanted) return from;
  memory to(wanted, engine_);
  if (!plain_ends_ && !input_read_ && from.get_data_handle() == input_.get_data_handle()) return input_ = to;
  add(dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  return to;
}

memory Network::with_shape(const Value& value, const Shape& shape) {
  if (value.stored == shape) return value.data;
  const memory from = reordered(value.data, plain(batch_, value.stored));
  return view(from, plain(batch_, shape));
}

memory Network::rows(const Value& value) {
  const Shape& s = value.shape;
  const memory from = reordered(value.data, plain(batch_, value.stored));
  return view(from, f32({batch_ * s.size() / s.back(), s.back()}, Tag::nc));
}

memory Network::view(const memory& of, const memory::desc& desc) {
  viewed_.push_back(of);
  return {desc, engine_, of.get_data_handle()};
}

memory Network::weight(const float* values, const memory::desc& ours, const memory::desc& wanted) {
  memory from(ours, engine_, const_cast<float*>(values)), to(wanted, engine_);
  dnnl::reorder(from, to).execute(stream_, from, to);
  stream_.wait();
  return to;
}

memory Network::add(const dnnl::primitive& primitive, Arguments arguments) {
  for (const auto& [role, value] : arguments)
    input_read_ = input_read_ || value.get_data_handle() == input_.get_data_handle();
  steps_.push_back({primitive, std::move(arguments), layer_});
  return steps_.back().arguments[DNNL_ARG_DST];
}

std::span<float> Network::input() {
  return {static_cast<float*>(input_.get_data_handle()), input_.get_desc().get_size() / sizeof(float)};
}

std::span<const float> Network::output() {
  return {static_cast<const float*>(output_.get_data_handle()), output_.get_desc().get_size() / sizeof(float)};
}

void Network::run(const AfterLayer* after) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    step.primitive.execute(stream_, step.arguments);
    if (after == nullptr || (i + 1 < steps_.size() && steps_[i + 1].layer == step.layer)) continue;
    stream_.wait();
    (*after)(step.layer);
  }
  stream_.wait();
}

namespace {

class Onednn final : public Engine {
 public:
  std::string name() const override { return "onednn"; }
  std::string version() const override {
    const dnnl::version_t* v = dnnl::version();
    return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
  }
  bool supports(nn::Op op) const override { return Network::supports(op); }
  std::unique_ptr<Prepared> prepare(const nn::NetworkSpec& fused, nn::Parameters& parameters, bool plain_ends,
                                    int batch) const override {
    return std::make_unique<Network>(fused, parameters, plain_ends, batch);
  }
};

}  // namespace
}  // namespace onednn

std::unique_ptr<Engine> onednn_engine() { return std::make_unique<onednn::Onednn>(); }

}  // namespace fdi::device
#endif
