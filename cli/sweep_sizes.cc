// See sweep_sizes.h.
#include "cli/sweep_sizes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/layer.h"

namespace fdi::cli {
namespace {

constexpr struct {
  const char* name;
  int SweptLayer::*value;
} kFields[] = {{"in_height", &SweptLayer::in_height},
               {"in_width", &SweptLayer::in_width},
               {"in_channel", &SweptLayer::in_channel},
               {"out_channel", &SweptLayer::out_channel},
               {"in_dim", &SweptLayer::in_channel},
               {"out_dim", &SweptLayer::out_channel},
               {"kernel_height", &SweptLayer::kernel_height},
               {"kernel_width", &SweptLayer::kernel_width},
               {"stride", &SweptLayer::stride},
               {"step", &SweptLayer::step}};

int number(const std::string& text, const std::string& flag) {
  size_t used = 0;
  int value = 0;
  try {
    value = std::stoi(text, &used);
  } catch (const std::exception&) {
    used = std::string::npos;
  }
  if (used != text.size() || value < 1 || value > nn::kMaxDimension)
    core::fail("{}: '{}' is no number from 1 to {}", flag, text, nn::kMaxDimension);
  return value;
}

}  // namespace

std::pair<int, int> read_extent(const std::string& text, const std::string& flag) {
  const size_t x = text.find('x');
  const int first = number(text.substr(0, x), flag);
  return {first, x == std::string::npos ? first : number(text.substr(x + 1), flag)};
}

Vary read_vary(const std::string& text) {
  const std::string flag = "--vary " + text;
  const size_t equals = text.find('='), dots = text.find("..");
  if (equals == std::string::npos || dots == std::string::npos || dots < equals)
    core::fail("{}: wanted FIELD[,FIELD]=A..B[:STEP]", flag);
  Vary vary;
  for (size_t at = 0; at < equals;) {
    const size_t end = std::min(text.find(',', at), equals);
    vary.fields.push_back(text.substr(at, end - at));
    at = end + 1;
    std::string known;
    for (const auto& f : kFields) known += (known.empty() ? "" : ", ") + std::string(f.name);
    if (std::ranges::none_of(kFields, [&](const auto& f) { return vary.fields.back() == f.name; }))
      core::fail("{}: '{}' is no field; known are {}", flag, vary.fields.back(), known);
  }
  const size_t colon = text.find(':', dots);
  vary.low = number(text.substr(equals + 1, dots - equals - 1), flag);
  vary.high = number(text.substr(dots + 2, colon == std::string::npos ? colon : colon - dots - 2), flag);
  if (colon != std::string::npos) vary.step = number(text.substr(colon + 1), flag);
  if (vary.fields.empty() || vary.low > vary.high) core::fail("{}: wanted FIELD[,FIELD]=A..B[:STEP], A <= B", flag);
  return vary;
}

std::vector<SweptLayer> combine_sizes(const std::vector<Vary>& varies, const SweptLayer& layer) {
  constexpr size_t kMost = 100'000;
  std::vector<SweptLayer> out = {layer};
  for (const Vary& vary : varies) {
    const int values = (vary.high - vary.low) / vary.step + 1;
    if (out.size() * static_cast<size_t>(values) > kMost)
      core::fail("--vary: more than {} combinations; give a larger STEP", kMost);
    std::vector<SweptLayer> wider;
    for (const SweptLayer& of : out)
      for (int value = vary.low; value <= vary.high; value += vary.step) {
        wider.push_back(of);
        for (const auto& f : kFields)
          if (std::ranges::find(vary.fields, f.name) != vary.fields.end()) wider.back().*f.value = value;
      }
    out = std::move(wider);
  }
  return out;
}

device::Component swept_component(nn::Op op, const SweptLayer& l, nn::Padding padding) {
  device::Component c;
  c.layer.op = op;
  c.layer.name = nn::op_name(op);
  c.layer.inputs = {nn::LayerSpec::kInput};
  nn::Attributes& attr = c.layer.attr;
  attr.units = l.out_channel;
  attr.kernel = {l.kernel_height, l.kernel_width};
  attr.stride = {l.stride, l.stride};
  attr.padding = padding;
  if (op == nn::Op::kFc) {
    c.in = {{l.in_channel}};
  } else if (op == nn::Op::kGru || op == nn::Op::kLstm) {
    c.in = {{l.step, l.in_channel}};
  } else if (op == nn::Op::kConv2d || op == nn::Op::kMaxPool || op == nn::Op::kAvgPool) {
    c.in = {{l.in_height, l.in_width, l.in_channel}};
  } else {
    core::fail("--op {}: sweep knows conv2d, fc, gru, lstm, max_pool and avg_pool", nn::op_name(op));
  }
  attr.relu = op == nn::Op::kConv2d || op == nn::Op::kFc;
  nn::check_shape("sweep:", "the input", c.in[0]);
  nn::output_shape(c.layer, c.in);  // throws Error where the window does not fit
  return c;
}

nlohmann::json sizes_json(nn::Op op, const SweptLayer& l) {
  nlohmann::json config = {{"op", nn::op_name(op)}};
  const bool image = op == nn::Op::kConv2d || op == nn::Op::kMaxPool || op == nn::Op::kAvgPool;
  for (const auto& f : kFields) {
    const std::string name = f.name;
    const bool dim = name.ends_with("_dim"), channel = name.ends_with("_channel"), step = name == "step";
    const bool has = image ? !dim && !step : dim || (step && op != nn::Op::kFc);
    if (has && !(channel && !image)) config[name] = l.*f.value;
  }
  return config;
}

}  // namespace fdi::cli
