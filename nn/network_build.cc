// Building a Network: roots, layers, weights, then one plan for all memory.
#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "kernels/isa.h"
#include "nn/network_impl.h"
#include "nn/plan.h"

namespace fdi::nn {
namespace {

// The entries of the parameters, by layer and in the order of OpInfo::parameters.
std::vector<std::vector<const Parameters::Entry*>> entries_by_layer(const NetworkSpec& spec,
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

}  // namespace

Network::Impl::Impl(const NetworkSpec& network, Parameters* parameters, int planned_batch, Mode network_mode,
                    bool input_gradient_wanted)
    : spec(network),
      batch(planned_batch),
      threads(core::threads()),
      isa(kernels::isa_target()),
      gemm(kernels::gemm_provider()),
      mode(network_mode),
      want_input_gradient(input_gradient_wanted && mode == Mode::kTraining),
      plan_only(parameters == nullptr),
      shapes(output_shapes(spec)),
      current_batch(planned_batch) {
  if (batch < 1 || batch > 1 << 20) core::fail("batch size {}: want 1 to {}", batch, 1 << 20);
  find_roots();
  find_gradients();
  make_layers();
  plan_weights();
  if (!plan_only) mode == Mode::kTraining ? bind_weights(*parameters) : pack_weights(*parameters);
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
    step.layer = info.make(layer, input_shapes(spec, shapes, i));
    step.has_grad = has_grad[i + 1];
    steps.push_back(std::move(step));
  }
}

// Training refers to the parameters and adds their gradients; inference has packed weights of its own.
void Network::Impl::plan_weights() {
  if (mode == Mode::kTraining) {
    int64_t count = 0;
    for (const Parameters::Entry& e : Parameters::list(spec)) count += e.spec.trainable ? e.spec.shape.size() : 0;
    sizes.gradients = core::Arena::padded_bytes(count);
    return;
  }
  for (const Step& step : steps)
    if (const int64_t packed = step.layer->packed_floats(); packed > 0)
      sizes.weights += core::Arena::padded_bytes(packed);
    else
      for (const ParameterSpec& p :
           op_info(layer_spec(step).op).parameters(layer_spec(step), input_shapes(spec, shapes, step.index)))
        sizes.weights += core::Arena::padded_bytes(p.shape.size());
}

void Network::Impl::bind_weights(Parameters& parameters) {
  const auto entries = entries_by_layer(spec, shapes, parameters);
  const auto count = static_cast<int64_t>(parameters.trainable().size());
  gradient_block = core::Arena(sizes.gradients);
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
  weights = core::Arena(sizes.weights);
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
  sizes.activations = core::Arena::padded_bytes(plan.floats);
  sizes.input = (want_input_gradient ? 2 : 1) * core::Arena::padded_bytes(floats_of(0));
  if (plan_only) return;
  activations = core::Arena(sizes.activations);
  float* base = activations.floats(plan.floats);
  inputs = core::Arena(sizes.input);
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
  for (const Step& step : steps) {
    if (training) sizes.state += core::Arena::padded_bytes(step.layer->state_floats(batch));
    sizes.workspace = std::max(sizes.workspace, step.layer->workspace_bytes(batch, threads, training));
  }
  if (plan_only) return;
  states = core::Arena(sizes.state);
  scratch = core::Arena(sizes.workspace);
  if (training)
    for (Step& step : steps)
      if (const int64_t floats = step.layer->state_floats(batch); floats > 0)
        step.layer->bind_state(states.floats(floats));
}

}  // namespace fdi::nn
