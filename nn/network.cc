// Network: layers bound to weights and to one planned block of memory.
// A "root" is a tensor with memory of its own: 0 is the network's input, i + 1 the output of layer i. The output of an
// alias (flatten) has the root of its input, in the backward pass too: its gradient is the root's gradient.
#include "nn/network.h"

#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "kernels/elementwise.h"
#include "kernels/isa.h"
#include "nn/plan.h"

namespace fdi::nn {
namespace {

// A layer as it runs: all tensors point into the planned blocks.
struct Step {
  int index = 0;
  std::unique_ptr<Layer> layer;
  std::vector<Tensor> x, dx;
  Tensor y, dy;
  bool has_grad = false;  // some weight or wanted gradient lies before or in it
  struct Sum {
    Tensor part, total;
  };
  std::vector<Sum> sums;  // gradients of inputs with an earlier contribution: total += part
};

}  // namespace

struct Network::Impl {
  Impl(const NetworkSpec& network, Parameters& parameters, int planned_batch, Mode network_mode, bool input_gradient);

  void find_roots();
  void find_gradients();
  void make_layers();
  void bind_weights(Parameters& parameters);
  void pack_weights(Parameters& parameters);
  void plan_activations();
  void plan_scratch();
  void set_batch(int n);

  int root_of(int index) const { return roots[index + 1]; }  // `index` as in LayerSpec::inputs
  const Shape& shape_of(int root) const { return root == 0 ? spec.input : shapes[root - 1]; }
  int64_t floats_of(int root) const { return shape_of(root).size() * batch; }
  Tensor tensor(float* data, const Shape& shape) const { return {data, core::with_batch(batch, shape)}; }
  const LayerSpec& layer_spec(const Step& step) const { return spec.layers[step.index]; }

  const NetworkSpec spec;
  const int batch, threads;
  const Mode mode;
  const bool want_input_gradient;
  std::vector<Shape> shapes;   // of each layer's output
  std::vector<int> roots;      // by tensor: 0 the input, i + 1 layer i
  std::vector<bool> has_grad;  // by tensor
  std::vector<Step> steps;     // the layers that are no alias
  int output_root = 0;
  core::Arena weights, inputs, activations, gradient_block, states, scratch;
  std::span<float> gradients;
  Tensor input, input_gradient, output;
  int current_batch;
};

Network::Impl::Impl(const NetworkSpec& network, Parameters& parameters, int planned_batch, Mode network_mode,
                    bool input_gradient_wanted)
    : spec(network),
      batch(planned_batch),
      threads(core::threads()),
      mode(network_mode),
      want_input_gradient(input_gradient_wanted && mode == Mode::kTraining),
      shapes(output_shapes(spec)),
      current_batch(planned_batch) {
  if (batch < 1 || batch > 1 << 20) core::fail("batch size {}: want 1 to {}", batch, 1 << 20);
  kernels::isa();  // settles the target before weights are packed for it
  find_roots();
  find_gradients();
  make_layers();
  if (mode == Mode::kTraining)
    bind_weights(parameters);
  else
    pack_weights(parameters);
  plan_activations();
  plan_scratch();
}

void Network::Impl::find_roots() {
  constexpr int64_t kMaxFloats = int64_t{1} << 40;  // of one tensor of a batch: keeps sums over layers within 64 bits
  roots.push_back(0);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    if (shapes[i].size() > kMaxFloats / batch)
      core::fail("{} puts out {} for each of {} examples: too large; use a smaller batch", describe(layer),
                 core::to_string(shapes[i]), batch);
    roots.push_back(op_info(layer.op).alias ? root_of(layer.inputs[0]) : static_cast<int>(i) + 1);
  }
  output_root = roots.back();
}

void Network::Impl::find_gradients() {
  has_grad.push_back(want_input_gradient);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    bool needed = false;
    for (const int input_index : layer.inputs) needed |= has_grad[input_index + 1];
    for (const ParameterSpec& p : op_info(layer.op).parameters(layer, input_shapes(spec, shapes, i)))
      needed |= p.trainable;
    has_grad.push_back(needed && mode == Mode::kTraining);
  }
}

void Network::Impl::make_layers() {
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    const OpInfo& info = op_info(layer.op);
    if (info.alias) continue;
    Step step;
    step.index = static_cast<int>(i);
    step.layer = info.make(layer, input_shapes(spec, shapes, i), mode == Mode::kTraining);
    step.has_grad = has_grad[i + 1];
    steps.push_back(std::move(step));
  }
}

// The entries of the parameters, by layer and in the order of OpInfo::parameters.
static std::vector<std::vector<const Parameters::Entry*>> entries_by_layer(const NetworkSpec& spec,
                                                                           const std::vector<Shape>& shapes,
                                                                           const Parameters& parameters) {
  const std::vector<Parameters::Entry> wanted = Parameters::list(spec);
  const std::vector<Parameters::Entry>& got = parameters.entries();
  if (got.size() != wanted.size())
    core::fail("network {} got {} weight tensors, want {}", spec.name, got.size(), wanted.size());
  std::vector<std::vector<const Parameters::Entry*>> out(spec.layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i)
    for (const ParameterSpec& p :
         op_info(spec.layers[i].op).parameters(spec.layers[i], input_shapes(spec, shapes, i))) {
      const std::string name = spec.layers[i].name + "." + p.name;
      const auto found = std::find_if(got.begin(), got.end(), [&](const auto& e) { return e.name == name; });
      if (found == got.end() || found->spec.shape != p.shape)
        core::fail("{} got {} for {}, want {}", describe(spec.layers[i]),
                   found == got.end() ? "nothing" : core::to_string(found->spec.shape), name, core::to_string(p.shape));
      out[i].push_back(&*found);
    }
  return out;
}

void Network::Impl::bind_weights(Parameters& parameters) {
  const auto entries = entries_by_layer(spec, shapes, parameters);
  const auto count = static_cast<int64_t>(parameters.trainable().size());
  gradient_block = core::Arena(core::Arena::padded_bytes(count));
  gradients = {gradient_block.floats(count), static_cast<size_t>(count)};
  for (Step& step : steps) {
    std::vector<Tensor> values, grads;
    for (const Parameters::Entry* e : entries[step.index]) {
      values.push_back(parameters.tensor(*e));
      grads.push_back({e->spec.trainable ? gradients.data() + e->offset : nullptr, e->spec.shape});
    }
    step.layer->bind(values, grads);
  }
}

// Inference: each layer packs its weights into the network's own block, or gets a copy of them there.
void Network::Impl::pack_weights(Parameters& parameters) {
  const auto entries = entries_by_layer(spec, shapes, parameters);
  size_t bytes = 0;
  for (const Step& step : steps) {
    const int64_t packed = step.layer->packed_floats();
    if (packed > 0) bytes += core::Arena::padded_bytes(packed);
    if (packed == 0)
      for (const Parameters::Entry* e : entries[step.index]) bytes += core::Arena::padded_bytes(e->spec.shape.size());
  }
  weights = core::Arena(bytes);
  for (Step& step : steps) {
    std::vector<Tensor> values;
    for (const Parameters::Entry* e : entries[step.index]) values.push_back(parameters.tensor(*e));
    if (const int64_t packed = step.layer->packed_floats(); packed > 0) {
      step.layer->pack(values, weights.floats(packed));
      continue;
    }
    for (Tensor& value : values) {
      const Tensor own = weights.tensor(value.shape);
      std::copy_n(value.data, value.size(), own.data);
      value = own;
    }
    step.layer->bind(values, {});
  }
}

// Time runs from step 0, forward of layer 0, over L - 1 to 2 L - 1, backward of layer 0.
void Network::Impl::plan_activations() {
  const auto layers = static_cast<int>(spec.layers.size());
  const int end = 2 * layers;
  const bool training = mode == Mode::kTraining;
  const auto backward_time = [&](int layer) { return 2 * layers - 1 - layer; };
  std::vector<Interval> intervals;
  const auto interval = [&](int64_t floats, int first, int last) {
    intervals.push_back({floats, first, last});
    return static_cast<int>(intervals.size()) - 1;
  };
  // Outputs by root. The network's input and its gradient stay outside: their owner is the caller.
  std::vector<int> value_at(layers + 1, -1), grad_at(layers + 1, -1), last_reader(layers + 1, 0);
  for (const Step& step : steps)
    for (const int i : layer_spec(step).inputs) last_reader[root_of(i)] = std::max(last_reader[root_of(i)], step.index);
  for (const Step& step : steps) {
    const int root = step.index + 1;
    const int last = root == output_root ? end : training ? backward_time(step.index) : last_reader[root];
    value_at[root] = interval(floats_of(root), step.index, last);
    if (step.has_grad && root != output_root)
      grad_at[root] = interval(floats_of(root), backward_time(last_reader[root]), backward_time(step.index));
  }
  // A gradient with several contributions: in backward order the first one writes, the others go through a temporary.
  struct Part {
    size_t step, input;
    int root, at;
  };
  std::vector<Part> parts;
  std::vector<bool> written(layers + 1);
  for (size_t s = steps.size(); s-- > 0;)
    for (size_t k = 0; k < layer_spec(steps[s]).inputs.size(); ++k) {
      const int root = root_of(layer_spec(steps[s]).inputs[k]);
      if (!steps[s].has_grad || !has_grad[root]) continue;
      const int time = backward_time(steps[s].index);
      parts.push_back({s, k, root, written[root] ? interval(floats_of(root), time, time) : -1});
      written[root] = true;
    }

  const Plan plan = plan_memory(intervals);
  activations = core::Arena(core::Arena::padded_bytes(plan.floats));
  float* base = activations.floats(plan.floats);
  inputs = core::Arena((want_input_gradient ? 2 : 1) * core::Arena::padded_bytes(floats_of(0)));
  input = tensor(inputs.floats(floats_of(0)), spec.input);
  if (want_input_gradient) input_gradient = tensor(inputs.floats(floats_of(0)), spec.input);
  const auto value = [&](int root) { return root == 0 ? input.data : base + plan.offsets[value_at[root]]; };
  const auto grad = [&](int root) { return root == 0 ? input_gradient.data : base + plan.offsets[grad_at[root]]; };

  for (Step& step : steps) {
    for (const int i : layer_spec(step).inputs) {
      step.x.push_back(tensor(value(root_of(i)), i < 0 ? spec.input : shapes[i]));
      step.dx.push_back({nullptr, step.x.back().shape});
    }
    const int root = step.index + 1;
    step.y = tensor(value(root), shapes[step.index]);
    step.dy = {step.has_grad && root != output_root ? grad(root) : nullptr, step.y.shape};
  }
  for (const Part& part : parts) {
    Tensor& dx = steps[part.step].dx[part.input];
    dx.data = part.at < 0 ? grad(part.root) : base + plan.offsets[part.at];
    if (part.at >= 0) steps[part.step].sums.push_back({dx, {grad(part.root), dx.shape}});
  }
  output = tensor(value(output_root), shapes.back());
}

void Network::Impl::plan_scratch() {
  const bool training = mode == Mode::kTraining;
  size_t state_bytes = 0, scratch_bytes = 0;
  for (const Step& step : steps) {
    if (training) state_bytes += core::Arena::padded_bytes(step.layer->state_floats(batch));
    scratch_bytes = std::max(scratch_bytes, step.layer->workspace_bytes(batch, threads, training));
  }
  states = core::Arena(state_bytes);
  scratch = core::Arena(scratch_bytes);
  if (training)
    for (Step& step : steps)
      if (const int64_t floats = step.layer->state_floats(batch); floats > 0)
        step.layer->bind_state(states.floats(floats));
}

void Network::Impl::set_batch(int n) {
  if (n == current_batch) return;
  CHECK(n >= 1 && n <= batch);
  current_batch = n;
  output.shape[0] = n;
  if (want_input_gradient) input_gradient.shape[0] = n;
  for (Step& step : steps) {
    step.y.shape[0] = step.dy.shape[0] = n;
    for (Tensor& x : step.x) x.shape[0] = n;
    for (Tensor& dx : step.dx) dx.shape[0] = n;
    for (Step::Sum& sum : step.sums) sum.part.shape[0] = sum.total.shape[0] = n;
  }
}

Network::Network(const NetworkSpec& spec, Parameters& parameters, int batch, Mode mode, bool want_input_gradient)
    : impl_(std::make_unique<Impl>(spec, parameters, batch, mode, want_input_gradient)) {}
Network::~Network() = default;

static Pass with_workspace(const Pass& pass, core::Arena& scratch, int threads) {
  Pass out = pass;
  scratch.rewind(0);
  const auto floats = static_cast<int64_t>(scratch.capacity() / sizeof(float));
  out.workspace = {reinterpret_cast<std::byte*>(scratch.floats(floats)), scratch.capacity(), threads};
  return out;
}

Tensor Network::forward(const Pass& pass) {
  Impl& n = *impl_;
  DCHECK(!pass.training || n.mode == Mode::kTraining);
  n.set_batch(pass.batch);
  Pass run = with_workspace(pass, n.scratch, n.threads);
  for (const Step& step : n.steps) {
    run.layer = step.index;
    step.layer->forward(run, step.x, step.y);
  }
  return n.output;
}

void Network::backward(const Pass& pass, Tensor dy) {
  Impl& n = *impl_;
  CHECK(n.mode == Mode::kTraining && pass.batch == n.current_batch && dy.size() == n.output.size());
  Pass run = with_workspace(pass, n.scratch, n.threads);
  if (n.output_root == 0 && n.want_input_gradient) kernels::copy(dy.size(), dy.data, n.input_gradient.data, n.threads);
  for (size_t s = n.steps.size(); s-- > 0;) {
    const Step& step = n.steps[s];
    if (!step.has_grad) continue;
    run.layer = step.index;
    const Tensor step_dy{step.index + 1 == n.output_root ? dy.data : step.dy.data, step.dy.shape};
    step.layer->backward(run, step.x, step.y, step_dy, step.dx);
    for (const Step::Sum& sum : step.sums)
      kernels::axpy(sum.part.size(), 1.0F, sum.part.data, sum.total.data, n.threads);
  }
}

Tensor Network::input() { return impl_->input; }
std::span<float> Network::gradients() { return impl_->gradients; }
Tensor Network::input_gradient() { return impl_->input_gradient; }
int Network::batch() const { return impl_->batch; }
const NetworkSpec& Network::spec() const { return impl_->spec; }

Network::Memory Network::memory() const {
  const Impl& n = *impl_;
  return {n.weights.used(),        n.inputs.used(), n.activations.used(),
          n.gradient_block.used(), n.states.used(), n.scratch.capacity()};
}

}  // namespace fdi::nn
