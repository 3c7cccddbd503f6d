// NetworkSpec from and to JSON:
//   {"name": "tiny", "input": [32, 32, 3], "layers": [
//      {"op": "conv2d", "name": "conv1", "inputs": ["input"], "units": 16, "kernel": [3, 3]}, ...]}
// Attributes stand beside op, name and inputs. Layers may come in any order: they are sorted, stably.
#include <algorithm>
#include <functional>
#include <queue>
#include <unordered_map>

#include "core/error.h"
#include "nn/attributes.h"
#include "nn/layer.h"
#include "nn/spec.h"

namespace fdi::nn {
namespace {

using nlohmann::json;

// A user's text inside a message: printable, short.
std::string user_text(std::string_view text) {
  std::string out = json(std::string(text.substr(0, 100))).dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 100 ? out + "..." : out;
}

std::string op_list() {
  std::string list;
  for (const OpInfo* info : all_ops()) list += fmt::format("{}{}", list.empty() ? "" : ", ", info->name);
  return list;
}

const json& member(const json& object, const char* key, const std::string& who) {
  const auto found = object.find(key);
  if (found == object.end()) core::fail("{}: \"{}\" is missing", who, key);
  return *found;
}

std::string text_member(const json& object, const char* key, const std::string& who) {
  const json& value = member(object, key, who);
  if (!value.is_string()) core::fail("{}: \"{}\" is a {}, want a string", who, key, value.type_name());
  return value.get<std::string>();
}

const OpInfo& find_op(const std::string& name, const std::string& who) {
  for (const OpInfo* info : all_ops())
    if (name == info->name) return *info;
  core::fail("{}: unknown op {}; known: {}", who, user_text(name), op_list());
}

void read_attributes(const json& object, const OpInfo& info, LayerSpec& layer) {
  const auto& known = info.attributes;
  for (const auto& [key, value] : object.items()) {
    if (key == "op" || key == "name" || key == "inputs") continue;
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      std::string list;
      for (const char* k : known) list += fmt::format(", {}", k);
      core::fail("{} unknown attribute {}; known: op, name, inputs{}", describe(layer), user_text(key), list);
    }
    read_attribute(key, value, layer);
  }
  for (const char* key : info.required)
    if (!object.contains(key)) core::fail("{} the attribute \"{}\" is missing", describe(layer), key);
  check_attributes(layer);
}

// Op, name and attributes.
LayerSpec read_layer(const json& object, std::string who) {
  if (!object.is_object()) core::fail("{}: is a {}, want an object", who, object.type_name());
  LayerSpec layer;
  layer.name = text_member(object, "name", who);
  if (const char* wrong = name_fault(layer.name))
    core::fail("{}: the name {}; names are 1 to 100 letters, digits and _ - . /", who, wrong);
  who += fmt::format(" ({})", layer.name);
  const OpInfo& info = find_op(text_member(object, "op", who), who);
  layer.op = info.op;
  read_attributes(object, info, layer);
  return layer;
}

// A layer whose inputs are still names.
struct Draft {
  LayerSpec layer;
  std::vector<std::string> inputs;
};

Draft read_draft(const json& object, size_t index) {
  Draft draft{read_layer(object, fmt::format("layer {}", index)), {}};
  const std::string who = fmt::format("layer {} ({})", index, draft.layer.name);
  const json& inputs = member(object, "inputs", who);
  if (!inputs.is_array()) core::fail("{}: \"inputs\" is a {}, want a list of layer names", who, inputs.type_name());
  for (const json& input : inputs) {
    if (!input.is_string()) core::fail("{}: an input is a {}, want a layer's name", who, input.type_name());
    draft.inputs.push_back(input.get<std::string>());
  }
  return draft;
}

// Every layer that is left waits for another that is left: walk from one to the next until a layer comes again.
[[noreturn]] void fail_cycle(const std::vector<Draft>& drafts, const std::vector<int>& position) {
  auto at = static_cast<int>(std::find(position.begin(), position.end(), -1) - position.begin());
  std::vector<int> path;
  std::vector<bool> seen(drafts.size());
  while (!seen[at]) {
    seen[at] = true;
    path.push_back(at);
    for (const int input : drafts[at].layer.inputs)
      if (input != LayerSpec::kInput && position[input] < 0) {
        at = input;
        break;
      }
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), at));
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(path.size(), kShown); ++i) text += drafts[path[i]].layer.name + " <- ";
  if (path.size() > kShown) text += fmt::format("({} more) <- ", path.size() - kShown);
  core::fail("the layers form a cycle: {}{}; remove one of these inputs", text, drafts[at].layer.name);
}

// Kahn's algorithm, smallest position first, so that layers that are in order stay where they are.
std::vector<LayerSpec> sorted(std::vector<Draft>& drafts) {
  std::unordered_map<std::string, int> by_name;
  for (size_t i = 0; i < drafts.size(); ++i)
    if (!by_name.emplace(drafts[i].layer.name, static_cast<int>(i)).second)
      core::fail("{} has the name of an earlier layer; rename one", describe(drafts[i].layer));
  std::vector<std::vector<int>> readers(drafts.size());
  std::vector<int> waits_for(drafts.size());
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < drafts.size(); ++i) {
    for (const std::string& name : drafts[i].inputs) {
      const auto found = by_name.find(name);
      if (name != "input" && found == by_name.end())
        core::fail("{} reads {}, which is no layer; name a layer or \"input\"", describe(drafts[i].layer),
                   user_text(name));
      const int input = name == "input" ? LayerSpec::kInput : found->second;
      drafts[i].layer.inputs.push_back(input);
      if (input == LayerSpec::kInput) continue;
      readers[input].push_back(static_cast<int>(i));
      ++waits_for[i];
    }
    if (waits_for[i] == 0) ready.push(static_cast<int>(i));
  }
  std::vector<int> position(drafts.size(), -1);
  std::vector<LayerSpec> out;
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    position[i] = static_cast<int>(out.size());
    LayerSpec layer = drafts[i].layer;
    for (int& input : layer.inputs) input = input == LayerSpec::kInput ? input : position[input];
    out.push_back(std::move(layer));
    for (const int reader : readers[i])
      if (--waits_for[reader] == 0) ready.push(reader);
  }
  if (out.size() < drafts.size()) fail_cycle(drafts, position);
  return out;
}

NetworkSpec read_spec(const json& object) {
  if (!object.is_object()) core::fail("the network is a {}, want an object", object.type_name());
  for (const auto& [key, value] : object.items())
    if (key != "name" && key != "input" && key != "layers")
      core::fail("unknown key {}; known: name, input, layers", user_text(key));
  NetworkSpec spec;
  if (object.contains("name")) spec.name = text_member(object, "name", "network");
  if (!spec.name.empty() && name_fault(spec.name) != nullptr)
    core::fail("network: the name {}; names are 1 to 100 letters, digits and _ - . /", name_fault(spec.name));
  if (!read_shape(member(object, "input", "network"), spec.input))
    core::fail("network: \"input\" is no shape; want 1 to {} integers such as [32, 32, 3]", kMaxRank);
  const json& layers = member(object, "layers", "network");
  if (!layers.is_array()) core::fail("network: \"layers\" is a {}, want a list", layers.type_name());
  if (layers.size() > static_cast<size_t>(kMaxLayers))
    core::fail("network has {} layers, want 1 to {}", layers.size(), kMaxLayers);
  std::vector<Draft> drafts;
  for (const json& layer : layers) drafts.push_back(read_draft(layer, drafts.size()));
  spec.layers = sorted(drafts);
  output_shapes(spec);
  return spec;
}

}  // namespace

NetworkSpec spec_from_json(const json& object, std::string_view where) {
  try {
    return read_spec(object);
  } catch (const core::Error& e) {
    core::fail("{}: {}", where, e.what());
  }
}

LayerSpec layer_from_json(const json& object, std::string_view where) {
  try {
    return read_layer(object, "layer");
  } catch (const core::Error& e) {
    core::fail("{}: {}", where, e.what());
  }
}

json layer_to_json(const LayerSpec& layer) {
  json object = {{"op", op_name(layer.op)}, {"name", layer.name}};
  for (const char* key : op_info(layer.op).attributes) object[key] = write_attribute(key, layer.attr);
  return object;
}

json spec_to_json(const NetworkSpec& spec) {
  json layers = json::array();
  for (const LayerSpec& layer : spec.layers) {
    json inputs = json::array();
    for (const int input : layer.inputs)
      inputs.push_back(input == LayerSpec::kInput ? "input" : spec.layers[input].name);
    json object = layer_to_json(layer);
    object["inputs"] = std::move(inputs);
    layers.push_back(std::move(object));
  }
  return {{"name", spec.name}, {"input", write_shape(spec.input)}, {"layers", std::move(layers)}};
}

}  // namespace fdi::nn
