// Components and jobs, and their JSON. Where a layer's inputs come from is no part of a component: all are kInput.
#include "device/component.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/attributes.h"
#include "nn/fuse.h"
#include "nn/layer.h"

namespace fdi::device {
namespace {

using nlohmann::json;
using nn::Shape;

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

int64_t weight_bytes(const nn::LayerSpec& layer, std::span<const Shape> in) {
  int64_t floats = 0;
  for (const nn::ParameterSpec& p : nn::op_info(layer.op).parameters(layer, in)) floats += p.shape.size();
  return floats * kFloatBytes;
}

// The members of an object, of which none may be missing and no other may be there.
void expect_keys(const json& object, std::initializer_list<const char*> keys, const std::string& where) {
  if (!object.is_object()) core::fail("{}: got a {}, want an object", where, object.type_name());
  for (const char* key : keys)
    if (!object.contains(key)) core::fail("{}: \"{}\" is missing", where, key);
  if (object.size() == keys.size()) return;
  for (const auto& [key, value] : object.items())
    if (std::ranges::find(keys, key) == keys.end())
      core::fail("{}: unknown key {}", where, json(key).dump(-1, ' ', true, json::error_handler_t::replace));
}

int64_t read_bytes(const json& object, const char* key, const std::string& where) {
  const json& value = object[key];
  if (!value.is_number_integer() || value < 0)
    core::fail("{}: \"{}\" is {}, want a whole number of bytes", where, key,
               value.dump(-1, ' ', true, json::error_handler_t::replace));
  return value.get<int64_t>();
}

std::vector<int> all_from_input(size_t count) { return std::vector<int>(count, nn::LayerSpec::kInput); }

}  // namespace

int64_t own_bytes(const Component& component) {
  int64_t floats = nn::output_shape(component.layer, component.in).size();
  for (const Shape& shape : component.in) floats += shape.size();
  return floats * kFloatBytes + weight_bytes(component.layer, component.in);
}

json component_to_json(const Component& component) {
  json in = json::array();
  for (const Shape& shape : component.in) in.push_back(nn::write_shape(shape));
  return {
      {"layer", nn::layer_to_json(component.layer)}, {"in", std::move(in)}, {"network_bytes", component.network_bytes}};
}

Component component_from_json(const json& object, const std::string& where) {
  expect_keys(object, {"layer", "in", "network_bytes"}, where);
  Component component{nn::layer_from_json(object["layer"], where), {}, read_bytes(object, "network_bytes", where)};
  if (!object["in"].is_array()) core::fail("{}: \"in\" is a {}, want a list", where, object["in"].type_name());
  for (const json& value : object["in"]) {
    Shape shape;
    if (!nn::read_shape(value, shape))
      core::fail("{}: \"in\" holds what is no shape; want 1 to {} integers such as [32, 32, 3]", where, nn::kMaxRank);
    nn::check_shape(fmt::format("{}:", where), "the input", shape);
    component.in.push_back(shape);
  }
  component.layer.inputs = all_from_input(component.in.size());
  try {
    nn::output_shape(component.layer, component.in);
  } catch (const core::Error& e) {
    core::fail("{}: {}", where, e.what());
  }
  return component;
}

std::vector<Component> components(const Job& job) {
  std::vector<Component> out;
  int64_t bytes = 0;
  for (const nn::NetworkSpec& network : job.networks) {
    const std::vector<Shape> shapes = nn::output_shapes(network);
    bytes += network.input.size() * kFloatBytes;
    for (size_t i = 0; i < network.layers.size(); ++i) {
      if (nn::op_info(network.layers[i].op).alias) continue;
      Component component{network.layers[i], nn::input_shapes(network, shapes, i)};
      component.layer.inputs = all_from_input(component.in.size());
      bytes += shapes[i].size() * kFloatBytes + weight_bytes(component.layer, component.in);
      out.push_back(std::move(component));
    }
  }
  for (Component& component : out) component.network_bytes = bytes;
  return out;
}

std::vector<Component> components(const nn::NetworkSpec& spec) { return components(job_of(spec)); }

static nn::NetworkSpec network_of(const Component& component) {
  Shape in = component.in[0];
  if (component.layer.op == nn::Op::kConcat) {
    const auto count = static_cast<int64_t>(component.in.size());
    const int axis = component.layer.attr.axis;
    int64_t total = 0;
    for (const Shape& shape : component.in) total += shape[axis];
    in[axis] = static_cast<int>((total + count / 2) / count);  // at least 1: every input has that much
  }
  nn::NetworkSpec network{component.layer.name, in, {component.layer}};
  network.layers[0].inputs = all_from_input(component.in.size());
  return network;
}

Job job_of(std::span<const Component> components) {
  Job job;
  for (const Component& component : components) job.networks.push_back(network_of(component));
  return job;
}

Job job_of(const nn::NetworkSpec& spec) { return {.networks = {nn::inference_spec(spec)}, .plain_ends = true}; }

json job_to_json(const Job& job) {
  json networks = json::array();
  for (const nn::NetworkSpec& network : job.networks) networks.push_back(nn::spec_to_json(network));
  return {{"networks", std::move(networks)}, {"touch_bytes", job.touch_bytes}, {"plain_ends", job.plain_ends}};
}

Job job_from_json(const json& object, const std::string& where) {
  expect_keys(object, {"networks", "touch_bytes", "plain_ends"}, where);
  const json& plain_ends = object["plain_ends"];
  if (!plain_ends.is_boolean())
    core::fail("{}: \"plain_ends\" is a {}, want true or false", where, plain_ends.type_name());
  const json& networks = object["networks"];
  if (!networks.is_array() || networks.empty())
    core::fail("{}: \"networks\" is no list of one or more networks", where);
  Job job{{}, read_bytes(object, "touch_bytes", where), plain_ends.get<bool>()};
  for (const json& network : networks) job.networks.push_back(nn::spec_from_json(network, where));
  return job;
}

}  // namespace fdi::device
