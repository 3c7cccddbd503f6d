// What a Network holds: layers bound to weights and to planned blocks of memory. Only network*.cc include this.
// A "root" is a tensor with memory of its own: 0 is the network's input, i + 1 the output of layer i. The output of an
// alias (flatten) has the root of its input, in the backward pass too: its gradient is the root's gradient.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/network.h"

namespace fdi::nn {

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

struct Network::Impl {
  // Without parameters only the sizes are planned: no block is taken, and nothing can run.
  Impl(const NetworkSpec& network, Parameters* parameters, int planned_batch, Mode network_mode, bool input_gradient);

  void find_roots();
  void find_gradients();
  void make_layers();
  void plan_weights();
  void bind_weights(Parameters& parameters);
  void pack_weights(Parameters& parameters);
  void plan_activations();
  void plan_scratch();
  void set_batch(int n);
  void check_layout() const;  // throws Error where other kernels are in force than those that this was built for

  int root_of(int index) const { return roots[index + 1]; }  // `index` as in LayerSpec::inputs
  const Shape& shape_of(int root) const { return root == 0 ? spec.input : shapes[root - 1]; }
  int64_t floats_of(int root) const { return shape_of(root).size() * batch; }
  Tensor tensor(float* data, const Shape& shape) const { return {data, core::with_batch(batch, shape)}; }
  const LayerSpec& layer_spec(const Step& step) const { return spec.layers[step.index]; }

  const NetworkSpec spec;
  const int batch, threads;
  // In force when the network was built: packed weights and planned workspaces are laid out for them.
  const int64_t isa;  // kernels::isa_target()
  const kernels::GemmProvider gemm;
  const Mode mode;
  const bool want_input_gradient, plan_only;
  Memory sizes{};
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

}  // namespace fdi::nn
