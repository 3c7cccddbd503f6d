// The rules of a NetworkSpec: names, arity, order and shapes. Every way to a network (JSON, zoo, fuse, shrink) passes
// output_shapes().
#include "nn/spec.h"

#include <unordered_set>

#include "core/error.h"
#include "nn/attributes.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

// Number of elements, or -1 past kMaxElements or for an extent out of range.
int64_t checked_size(const Shape& shape) {
  int64_t n = 1;
  for (int i = 0; i < shape.rank; ++i) {
    if (shape[i] < 1 || shape[i] > kMaxDimension) return -1;
    n *= shape[i];
    if (n > kMaxElements) return -1;
  }
  return n;
}

void check_arity(const LayerSpec& layer, const OpInfo& info) {
  const auto n = static_cast<int>(layer.inputs.size());
  if (n >= info.min_inputs && n <= info.max_inputs) return;
  if (info.min_inputs == info.max_inputs) core::fail("{} got {} inputs, want {}", describe(layer), n, info.min_inputs);
  core::fail("{} got {} inputs, want {} to {}", describe(layer), n, info.min_inputs, info.max_inputs);
}

void check_name(const LayerSpec& layer, size_t index, std::unordered_set<std::string>& names) {
  if (const char* wrong = name_fault(layer.name))
    core::fail("layer {}: the name {}; names are 1 to 100 letters, digits and _ - . /", index, wrong);
  if (!names.insert(layer.name).second) core::fail("{} has the name of an earlier layer; rename one", describe(layer));
}

}  // namespace

const char* name_fault(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > 100) return "is too long";
  if (name == "input") return "\"input\" is the network's input";
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
          c == '.' || c == '/'))
      return "has a character that is not allowed";
  return nullptr;
}

void check_shape(std::string_view who, std::string_view what, const Shape& shape) {
  if (shape.rank < 1 || shape.rank > kMaxRank || checked_size(shape) < 0)
    core::fail("{} {} has shape {}, want 1 to {} axes, each from 1 to {}, at most {} elements in all", who, what,
               core::to_string(shape), kMaxRank, kMaxDimension, kMaxElements);
}

std::string_view op_name(Op op) { return op_info(op).name; }

std::string describe(const LayerSpec& layer) { return fmt::format("[{} {}]", op_name(layer.op), layer.name); }

Shape output_shape(const LayerSpec& layer, std::span<const Shape> in) {
  const OpInfo& info = op_info(layer.op);
  CHECK(in.size() == layer.inputs.size());
  check_arity(layer, info);
  check_attributes(layer);
  const Shape out = info.output_shape(layer, in);
  check_shape(describe(layer), "output", out);
  for (const ParameterSpec& p : info.parameters(layer, in)) check_shape(describe(layer), p.name, p.shape);
  return out;
}

std::vector<Shape> output_shapes(const NetworkSpec& spec) {
  check_shape("network", "input", spec.input);
  if (spec.layers.empty() || spec.layers.size() > static_cast<size_t>(kMaxLayers))
    core::fail("network has {} layers, want 1 to {}", spec.layers.size(), kMaxLayers);
  std::vector<Shape> shapes;
  std::unordered_set<std::string> names;
  std::vector<bool> read(spec.layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    check_name(layer, i, names);
    std::vector<Shape> in;
    for (const int input : layer.inputs) {
      if (input != LayerSpec::kInput && (input < 0 || static_cast<size_t>(input) >= i))
        core::fail("{} reads layer {}, want an earlier layer than {}", describe(layer), input, i);
      in.push_back(input == LayerSpec::kInput ? spec.input : shapes[input]);
      if (input != LayerSpec::kInput) read[input] = true;
    }
    shapes.push_back(output_shape(layer, in));
  }
  for (size_t i = 0; i + 1 < spec.layers.size(); ++i)
    if (!read[i])
      core::fail("{} is read by no layer, but {} is the output; connect or remove one of them",
                 describe(spec.layers[i]), describe(spec.layers.back()));
  return shapes;
}

std::vector<Shape> input_shapes(const NetworkSpec& spec, const std::vector<Shape>& shapes, size_t i) {
  std::vector<Shape> in;
  for (const int input : spec.layers[i].inputs) in.push_back(input == LayerSpec::kInput ? spec.input : shapes[input]);
  return in;
}

}  // namespace fdi::nn
