// The table of `fastdeepiot info`: counts come from the OpInfo of each layer.
#include "nn/summary.h"

#include "nn/layer.h"

namespace fdi::nn {
namespace {

// Limits keep each layer's count below 2^62; the sum of thousands of such stops at the largest number.
void add_saturated(int64_t& sum, int64_t value) {
  if (__builtin_add_overflow(sum, value, &sum)) sum = INT64_MAX;
}

}  // namespace

Summary summarize(const NetworkSpec& spec) {
  const std::vector<Shape> shapes = output_shapes(spec);
  Summary out;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    const OpInfo& info = op_info(layer.op);
    const std::vector<Shape> in = input_shapes(spec, shapes, i);
    LayerSummary row{.name = layer.name, .op = info.name, .output = shapes[i]};
    for (const ParameterSpec& p : info.parameters(layer, in))
      (p.trainable ? row.parameters : row.state) += p.shape.size();
    row.flops = info.flops(layer, in);
    row.output_bytes = info.alias ? 0 : shapes[i].size() * static_cast<int64_t>(sizeof(float));
    add_saturated(out.parameters, row.parameters);
    add_saturated(out.state, row.state);
    add_saturated(out.flops, row.flops);
    add_saturated(out.output_bytes, row.output_bytes);
    out.layers.push_back(std::move(row));
  }
  return out;
}

}  // namespace fdi::nn
