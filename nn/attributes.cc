// The table of attributes: key, what is wanted (for messages), reading, writing, valid range.
#include "nn/attributes.h"

#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

using nlohmann::json;

struct AttributeInfo {
  const char* key;
  const char* wanted;
  bool (*read)(const json&, Attributes&);  // false: wrong type
  json (*write)(const Attributes&);
  bool (*valid)(const Attributes&);
};

bool read_int(const json& value, int& out) {
  if (!value.is_number_integer()) return false;
  // An unsigned number past int64 would wrap around in get<int64_t>(): ask for its sign first.
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{1} << 31) return false;
  const auto wide = value.get<int64_t>();
  if (wide < -(int64_t{1} << 31) || wide >= int64_t{1} << 31) return false;
  out = static_cast<int>(wide);
  return true;
}

bool read_pair(const json& value, std::array<int, 2>& out) {  // 3 stands for [3, 3]
  if (value.is_array()) return value.size() == 2 && read_int(value[0], out[0]) && read_int(value[1], out[1]);
  if (!read_int(value, out[0])) return false;
  out[1] = out[0];
  return true;
}

bool read_bool(const json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}

bool read_float(const json& value, float& out) {
  if (!value.is_number()) return false;
  const auto wide = value.get<double>();
  if (!(std::abs(wide) <= std::numeric_limits<float>::max())) return false;
  out = static_cast<float>(wide);
  return true;
}

// The shortest decimal that reads back as this float: 1e-05 rather than 9.999999747378752e-06.
json write_float(float value) { return std::isfinite(value) ? json(std::stod(fmt::format("{}", value))) : json(); }

bool in_range(int value) { return value >= 1 && value <= kMaxDimension; }
bool in_range(const std::array<int, 2>& pair) { return in_range(pair[0]) && in_range(pair[1]); }

constexpr const char* kPositive = "an integer from 1 to 16777216";
constexpr const char* kPositivePair = "[height, width], or one integer for both, each from 1 to 16777216";
constexpr const char* kIndex = "an integer from 0 to 16777216";
constexpr const char* kTrueFalse = "true or false";

const AttributeInfo kTable[] = {
    {"units", kPositive, [](const json& v, Attributes& a) { return read_int(v, a.units); },
     [](const Attributes& a) -> json { return a.units; }, [](const Attributes& a) { return in_range(a.units); }},
    {"kernel", kPositivePair, [](const json& v, Attributes& a) { return read_pair(v, a.kernel); },
     [](const Attributes& a) -> json { return a.kernel; }, [](const Attributes& a) { return in_range(a.kernel); }},
    {"stride", kPositivePair, [](const json& v, Attributes& a) { return read_pair(v, a.stride); },
     [](const Attributes& a) -> json { return a.stride; }, [](const Attributes& a) { return in_range(a.stride); }},
    {"padding", "\"same\" or \"valid\"",
     [](const json& v, Attributes& a) {
       a.padding = v == "valid" ? Padding::kValid : Padding::kSame;
       return v == "same" || v == "valid";
     },
     [](const Attributes& a) -> json { return a.padding == Padding::kSame ? "same" : "valid"; },
     [](const Attributes&) { return true; }},
    {"bias", kTrueFalse, [](const json& v, Attributes& a) { return read_bool(v, a.bias); },
     [](const Attributes& a) -> json { return a.bias; }, [](const Attributes&) { return true; }},
    {"relu", kTrueFalse, [](const json& v, Attributes& a) { return read_bool(v, a.relu); },
     [](const Attributes& a) -> json { return a.relu; }, [](const Attributes&) { return true; }},
    {"rate", "a number from 0 to below 1", [](const json& v, Attributes& a) { return read_float(v, a.rate); },
     [](const Attributes& a) { return write_float(a.rate); },
     [](const Attributes& a) { return a.rate >= 0 && a.rate < 1; }},
    {"epsilon", "a number from 1e-12 to 1", [](const json& v, Attributes& a) { return read_float(v, a.epsilon); },
     [](const Attributes& a) { return write_float(a.epsilon); },
     [](const Attributes& a) { return a.epsilon >= 1e-12F && a.epsilon <= 1; }},
    {"momentum", "a number from 0 to 1", [](const json& v, Attributes& a) { return read_float(v, a.momentum); },
     [](const Attributes& a) { return write_float(a.momentum); },
     [](const Attributes& a) { return a.momentum >= 0 && a.momentum <= 1; }},
    {"axis", "an integer from 0 to 3 (the batch is not counted)",
     [](const json& v, Attributes& a) { return read_int(v, a.axis); },
     [](const Attributes& a) -> json { return a.axis; },
     [](const Attributes& a) { return a.axis >= 0 && a.axis < kMaxRank; }},
    {"begin", kIndex, [](const json& v, Attributes& a) { return read_int(v, a.begin); },
     [](const Attributes& a) -> json { return a.begin; },
     [](const Attributes& a) { return a.begin >= 0 && a.begin <= kMaxDimension; }},
    {"end", kPositive, [](const json& v, Attributes& a) { return read_int(v, a.end); },
     [](const Attributes& a) -> json { return a.end; }, [](const Attributes& a) { return in_range(a.end); }},
    {"shape", "1 to 4 integers, each from 1 to 16777216",
     [](const json& v, Attributes& a) { return read_shape(v, a.shape); },
     [](const Attributes& a) { return write_shape(a.shape); },
     [](const Attributes& a) {
       bool good = a.shape.rank >= 1 && a.shape.rank <= kMaxRank;
       for (int i = 0; good && i < a.shape.rank; ++i) good = in_range(a.shape[i]);
       return good;
     }},
    {"reset_after", kTrueFalse, [](const json& v, Attributes& a) { return read_bool(v, a.reset_after); },
     [](const Attributes& a) -> json { return a.reset_after; }, [](const Attributes&) { return true; }},
};

const AttributeInfo& row(std::string_view key) {
  for (const AttributeInfo& info : kTable)
    if (key == info.key) return info;
  CHECK(!"an OpInfo lists an attribute that the table lacks");
  return kTable[0];
}

[[noreturn]] void fail_value(const LayerSpec& layer, const AttributeInfo& info, const json& value) {
  std::string got = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (got.size() > 60) got = got.substr(0, 57) + "...";
  core::fail("{} {}: got {}, want {}", describe(layer), info.key, got, info.wanted);
}

}  // namespace

bool read_shape(const json& value, Shape& out) {
  if (!value.is_array() || value.empty() || value.size() > static_cast<size_t>(kMaxRank)) return false;
  out = Shape();
  for (const json& extent : value)
    if (!read_int(extent, out.dim[out.rank++])) return false;
  return true;
}

json write_shape(const Shape& shape) {
  json out = json::array();
  for (int i = 0; i < shape.rank; ++i) out.push_back(shape[i]);
  return out;
}

void read_attribute(std::string_view key, const json& value, LayerSpec& layer) {
  const AttributeInfo& info = row(key);
  if (!info.read(value, layer.attr)) fail_value(layer, info, value);
}

json write_attribute(std::string_view key, const Attributes& attr) { return row(key).write(attr); }

void check_attributes(const LayerSpec& layer) {
  for (const char* key : op_info(layer.op).attributes) {
    const AttributeInfo& info = row(key);
    if (!info.valid(layer.attr)) fail_value(layer, info, info.write(layer.attr));
  }
}

}  // namespace fdi::nn
