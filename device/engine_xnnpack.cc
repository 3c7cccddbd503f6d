// XNNPACK as an engine under test: the walk over the layers and the memory of their tensors. NHWC is its own layout, so
// that the ends are always plain. It has no recurrent layers and no tanh. Its threads are a pool of its own.
#include "device/engine_xnnpack.h"

#ifdef FDI_HAVE_XNNPACK
#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "nn/plan.h"

namespace fdi::device {
namespace xnnpack {
namespace {

using core::Arena;

const char* status_text(xnn_status status) {
  switch (status) {
    case xnn_status_invalid_parameter:
      return "a parameter is invalid";
    case xnn_status_unsupported_parameter:
      return "a parameter is not supported";
    case xnn_status_unsupported_hardware:
      return "this processor is not supported";
    case xnn_status_out_of_memory:
      return "out of memory";
    default:
      return "it failed";
  }
}

}  // namespace

const float* LayerCall::weight(std::string_view name) const {
  const nn::Parameters::Entry* entry = parameters.find(fmt::format("{}.{}", layer.name, name));
  return entry == nullptr ? nullptr : parameters.tensor(*entry).data;
}

Network::LayerFunction Network::function_of(Op op) {
  switch (op) {
    case Op::kConv2d:
      return &Network::convolution;
    case Op::kFc:
      return &Network::fully_connected;
    case Op::kBatchNorm:
      return &Network::batch_norm;
    case Op::kMaxPool:
    case Op::kAvgPool:
      return &Network::pool;
    case Op::kGlobalAvgPool:
    case Op::kTimeMean:
      return &Network::mean;
    case Op::kRelu:
      return &Network::relu;
    case Op::kSigmoid:
      return &Network::sigmoid;
    case Op::kAdd:
      return &Network::sum;
    case Op::kConcat:
      return &Network::concat;
    case Op::kSlice:
      return &Network::slice;
    default:
      return nullptr;
  }
}

Network::Network(const nn::NetworkSpec& fused, const nn::Parameters& parameters, int batch)
    : batch_(batch), pool_(core::threads() > 1 ? pthreadpool_create(static_cast<size_t>(core::threads())) : nullptr) {
  if (const xnn_status status = xnn_initialize(nullptr); status != xnn_status_success)
    core::fail("engine xnnpack: it cannot start: {}", status_text(status));
  const std::vector<Shape> shapes = nn::output_shapes(fused);
  const std::vector<float*> tensors = place(fused, shapes);
  for (size_t i = 0; i < fused.layers.size(); ++i) {
    const nn::LayerSpec& layer = fused.layers[i];
    if (is_alias(layer.op)) continue;
    layer_ = static_cast<int>(i);
    LayerCall call{layer, nn::input_shapes(fused, shapes, i), shapes[i], parameters, {}, tensors[i]};
    for (const int from : layer.inputs)
      call.x.push_back(from == nn::LayerSpec::kInput ? input_.data() : tensors[static_cast<size_t>(from)]);
    const LayerFunction make = function_of(layer.op);
    if (make == nullptr) core::fail("{}: engine xnnpack has no {}", nn::describe(layer), nn::op_name(layer.op));
    (this->*make)(call);
  }
  output_ = {tensors.back(), static_cast<size_t>(batch * shapes.back().size())};
}

std::vector<float*> Network::place(const nn::NetworkSpec& fused, const std::vector<Shape>& shapes) {
  const auto count = static_cast<int>(fused.layers.size());
  constexpr int64_t kBeyond = XNN_EXTRA_BYTES / sizeof(float);  // XNNPACK may read so far past the end
  std::vector<nn::Interval> intervals{{batch_ * fused.input.size() + kBeyond, 0, count}};  // kept over all runs
  std::vector<size_t> interval_of;                                                         // by layer; 0: the input
  for (int i = 0; i < count; ++i) {
    const nn::LayerSpec& layer = fused.layers[static_cast<size_t>(i)];
    const auto source = [&](int from) {
      return from == nn::LayerSpec::kInput ? 0 : interval_of[static_cast<size_t>(from)];
    };
    for (const int from : layer.inputs) intervals[source(from)].last = std::max(intervals[source(from)].last, i);
    interval_of.push_back(is_alias(layer.op) ? source(layer.inputs[0]) : intervals.size());
    if (!is_alias(layer.op)) intervals.push_back({batch_ * shapes[static_cast<size_t>(i)].size() + kBeyond, i, i});
  }
  intervals[interval_of.back()].last = count;
  const nn::Plan plan = nn::plan_memory(intervals);
  memory_ = Arena(Arena::padded_bytes(plan.floats));
  float* base = memory_.floats(plan.floats);
  input_ = {base + plan.offsets[0], static_cast<size_t>(batch_ * fused.input.size())};
  std::vector<float*> tensors;
  tensors.reserve(interval_of.size());
  for (const size_t interval : interval_of) tensors.push_back(base + plan.offsets[interval]);
  return tensors;
}

void Network::run(const AfterLayer* after) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (xnn_run_operator(step.run.get(), pool_.get()) != xnn_status_success)
      core::fail("engine xnnpack: a layer failed");
    if (after != nullptr && (i + 1 == steps_.size() || steps_[i + 1].layer != step.layer)) (*after)(step.layer);
  }
}

void Network::add(const LayerCall& call, const std::function<xnn_status(xnn_operator_t*)>& create,
                  const std::function<xnn_status(xnn_operator_t)>& setup) {
  xnn_operator_t op = nullptr;
  xnn_status status = create(&op);
  if (status == xnn_status_success) {
    steps_.push_back({std::unique_ptr<xnn_operator, Deleter>(op), layer_});
    status = setup(op);
  }
  if (status != xnn_status_success)
    core::fail("{}: XNNPACK cannot run it: {}", nn::describe(call.layer), status_text(status));
}

namespace {

class Xnnpack final : public Engine {
 public:
  std::string name() const override { return "xnnpack"; }
  std::string version() const override { return FDI_XNNPACK_VERSION; }
  bool supports(Op op) const override { return Network::supports(op); }
  bool own_threads() const override { return true; }
  std::unique_ptr<Prepared> prepare(const nn::NetworkSpec& fused, nn::Parameters& parameters, bool /*plain_ends*/,
                                    int batch) const override {
    return std::make_unique<Network>(fused, parameters, batch);
  }
};

}  // namespace
}  // namespace xnnpack

std::unique_ptr<Engine> xnnpack_engine() { return std::make_unique<xnnpack::Xnnpack>(); }

}  // namespace fdi::device
#endif
