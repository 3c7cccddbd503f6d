// flatten: (a, b, c) -> (a * b * c). reshape: any shape with as many elements. Both are aliases: Network gives the
// output the input's memory, so there is no Layer to run.
#include "core/error.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

Shape flatten_shape(const LayerSpec& layer, std::span<const Shape> in) {
  if (in[0].size() > kMaxDimension)
    core::fail("{} got {} with {} elements, want at most {}", describe(layer), core::to_string(in[0]), in[0].size(),
               kMaxDimension);
  return {static_cast<int>(in[0].size())};
}

Shape reshape_shape(const LayerSpec& layer, std::span<const Shape> in) {
  const Shape& out = layer.attr.shape;
  double size = 1;  // a double: the product of what a user wrote may pass 64 bits
  for (int i = 0; i < out.rank; ++i) size *= out[i];
  if (size != static_cast<double>(in[0].size()))
    core::fail("{} got {} with {} elements, want as many as {} has", describe(layer), core::to_string(in[0]),
               in[0].size(), core::to_string(out));
  return out;
}

std::unique_ptr<Layer> no_layer(const LayerSpec&, std::span<const Shape>) { return nullptr; }

}  // namespace

const OpInfo& flatten_info() {
  static const OpInfo info{.op = Op::kFlatten,
                           .name = "flatten",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {},
                           .required = {},
                           .output_shape = flatten_shape,
                           .parameters = no_parameters,
                           .flops = no_flops,
                           .make = no_layer,
                           .alias = true};
  return info;
}

const OpInfo& reshape_info() {
  static const OpInfo info{.op = Op::kReshape,
                           .name = "reshape",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = {"shape"},
                           .required = {"shape"},
                           .output_shape = reshape_shape,
                           .parameters = no_parameters,
                           .flops = no_flops,
                           .make = no_layer,
                           .alias = true};
  return info;
}

}  // namespace fdi::nn
