// SamplingScope in JSON: {"ops": ["conv2d"], "channel": [1, 256], ...}; ranges are [low, high].
#include "profile/sampling_scope.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/layer.h"

namespace fdi::profile {
namespace {

using nlohmann::json;

constexpr struct {
  const char* key;
  Range SamplingScope::*range;
} kRanges[] = {{"image", &SamplingScope::image},
               {"channel", &SamplingScope::channel},
               {"fc_dim", &SamplingScope::fc_dim},
               {"rnn_dim", &SamplingScope::rnn_dim}};

[[noreturn]] void fail_value(const std::string& where, const std::string& key, const json& value, const char* want) {
  std::string got = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (got.size() > 60) got = got.substr(0, 57) + "...";
  core::fail("{}: \"{}\" is {}, want {}", where, key, got, want);
}

bool read_extent(const json& value, int& out) {
  if (!value.is_number_integer() || value < 1 || value > nn::kMaxDimension) return false;
  out = value.get<int>();
  return true;
}

// [low, high]; also [height, width] of a kernel.
bool read_two(const json& value, int& first, int& second) {
  return value.is_array() && value.size() == 2 && read_extent(value[0], first) && read_extent(value[1], second);
}

Range read_range(const json& value, const std::string& key, const std::string& where) {
  Range range;
  if (!read_two(value, range.low, range.high) || range.low > range.high)
    fail_value(where, key, value, "[low, high], 1 <= low <= high");
  return range;
}

std::vector<int> read_list(const json& value, const std::string& key, const std::string& where) {
  constexpr const char* kWant = "a list of numbers from 1, such as [1, 2]";
  if (!value.is_array() || value.empty()) fail_value(where, key, value, kWant);
  std::vector<int> list;
  for (const json& item : value)
    if (int n = 0; read_extent(item, n))
      list.push_back(n);
    else
      fail_value(where, key, value, kWant);
  return list;
}

std::vector<std::array<int, 2>> read_kernels(const json& value, const std::string& where) {
  constexpr const char* kWant = "a list of [height, width], such as [[3, 3], [5, 5]]";
  if (!value.is_array() || value.empty()) fail_value(where, "kernels", value, kWant);
  std::vector<std::array<int, 2>> kernels;
  for (const json& item : value)
    if (std::array<int, 2> k{}; read_two(item, k[0], k[1]))
      kernels.push_back(k);
    else
      fail_value(where, "kernels", value, kWant);
  return kernels;
}

std::vector<nn::Op> read_ops(const json& value, const std::string& where) {
  constexpr const char* kWant = "a list of ops, such as [\"conv2d\"]";
  if (!value.is_array()) fail_value(where, "ops", value, kWant);
  std::vector<nn::Op> ops;
  for (const json& item : value) {
    if (!item.is_string()) fail_value(where, "ops", value, kWant);
    ops.push_back(op_from_name(item.get<std::string>()));
  }
  return ops;
}

}  // namespace

nn::Op op_from_name(const std::string& name) {
  std::string known;
  for (const nn::OpInfo* info : nn::all_ops()) {
    if (name == info->name) return info->op;
    known += (known.empty() ? "" : ", ") + std::string(info->name);
  }
  core::fail("op '{}': unknown; known are {}", name, known);
}

json scope_to_json(const SamplingScope& scope) {
  json out = {
      {"kernels", scope.kernels}, {"strides", scope.strides}, {"steps", scope.steps}, {"max_mflop", scope.max_mflop}};
  out["ops"] = json::array();
  for (const nn::Op op : scope.ops) out["ops"].push_back(nn::op_name(op));
  for (const auto& [key, range] : kRanges) out[key] = {(scope.*range).low, (scope.*range).high};
  if (scope.uniform) out["uniform"] = true;  // left out where it is not: runs of earlier programs go on
  out["networks"] = json::array();
  for (const nn::NetworkSpec& spec : scope.networks) out["networks"].push_back(nn::spec_to_json(spec));
  return out;
}

SamplingScope scope_from_json(const json& object, const std::string& where) {
  if (!object.is_object()) core::fail("{}: the scope is a {}, want an object", where, object.type_name());
  SamplingScope scope;
  for (const auto& [key, value] : object.items()) {
    const auto range = std::ranges::find_if(kRanges, [&name = key](const auto& r) { return name == r.key; });
    if (range != std::end(kRanges)) {
      scope.*range->range = read_range(value, key, where);
    } else if (key == "ops") {
      scope.ops = read_ops(value, where);
    } else if (key == "kernels") {
      scope.kernels = read_kernels(value, where);
    } else if (key == "strides") {
      scope.strides = read_list(value, key, where);
    } else if (key == "steps") {
      scope.steps = read_list(value, key, where);
    } else if (key == "max_mflop") {
      if (!value.is_number() || !(value > 0)) fail_value(where, key, value, "a number above 0");
      scope.max_mflop = value.get<double>();
    } else if (key == "uniform") {
      if (!value.is_boolean()) fail_value(where, key, value, "true or false");
      scope.uniform = value.get<bool>();
    } else if (key == "networks") {
      if (!value.is_array()) fail_value(where, key, value, "a list of network descriptions");
      for (const json& spec : value) scope.networks.push_back(nn::spec_from_json(spec, where));
    } else {
      core::fail("{}: unknown member {} of the scope", where, json(key).dump(-1, ' ', true));
    }
  }
  return scope;
}

}  // namespace fdi::profile
