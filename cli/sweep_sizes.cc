// See sweep_sizes.h.
#include "cli/sweep_sizes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/suggest.h"
#include "core/error.h"
#include "nn/layer.h"

namespace fdi::cli {
namespace {

struct Size {
  std::string_view name;
  int SweptLayer::*value;
};
constexpr Size kFields[] = {{"in_height", &SweptLayer::in_height},
                            {"in_width", &SweptLayer::in_width},
                            {"in_channel", &SweptLayer::in_channel},
                            {"out_channel", &SweptLayer::out_channel},
                            {"in_dim", &SweptLayer::in_channel},
                            {"out_dim", &SweptLayer::out_channel},
                            {"kernel_height", &SweptLayer::kernel_height},
                            {"kernel_width", &SweptLayer::kernel_width},
                            {"stride", &SweptLayer::stride},
                            {"step", &SweptLayer::step}};

bool is_image(nn::Op op) { return op == nn::Op::kConv2d || op == nn::Op::kMaxPool || op == nn::Op::kAvgPool; }

// Those sizes that the op has.
std::vector<std::string> size_names(nn::Op op) {
  const bool recurrent = op == nn::Op::kGru || op == nn::Op::kLstm;
  if (!is_image(op) && !recurrent && op != nn::Op::kFc)
    core::fail("--op {}: sweep knows conv2d, fc, gru, lstm, max_pool and avg_pool", nn::op_name(op));
  std::vector<std::string> names;
  for (const auto& f : kFields) {
    const std::string name(f.name);
    const bool dim = name.ends_with("_dim"), step = name == "step";
    if (is_image(op) ? !dim && !step && !(name == "out_channel" && op != nn::Op::kConv2d) : dim || (step && recurrent))
      names.push_back(name);
  }
  return names;
}

// What a name that the op lacks may have meant: "out-channel" or, of a gru, "out_channel": out_dim; "kernel": both of
// its sides; else the nearest. Empty: nothing.
std::string meant(std::string word, const std::vector<std::string>& names) {
  std::ranges::replace(word, '-', '_');
  if (word.size() > 2 && word.ends_with('s')) word.pop_back();
  const auto value_of = [](const std::string& name) {
    const auto* f = std::ranges::find(kFields, name, &Size::name);
    return f == std::end(kFields) ? nullptr : f->value;
  };
  std::string within;
  for (const std::string& name : names) {
    if (name == word || (value_of(word) != nullptr && value_of(word) == value_of(name))) return name;
    if (!word.empty() && name.find(word) != std::string::npos) within += (within.empty() ? "" : ",") + name;
  }
  return within.empty() ? nearest(word, names) : within;
}

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

Vary read_vary(const std::string& text, nn::Op op) {
  const std::vector<std::string> names = size_names(op);
  const std::string flag = "--vary " + text;
  const size_t equals = text.find('='), dots = text.find("..");
  if (equals == std::string::npos || dots == std::string::npos || dots < equals)
    core::fail("{}: wanted FIELD[,FIELD]=A..B[:STEP]", flag);
  Vary vary;
  for (size_t at = 0; at < equals;) {
    const size_t end = std::min(text.find(',', at), equals);
    vary.fields.push_back(text.substr(at, end - at));
    at = end + 1;
    const std::string& field = vary.fields.back();
    if (std::ranges::find(names, field) != names.end()) continue;
    const std::string near = meant(field, names);
    core::fail("{}: {} has no size '{}'; {}it has {}", flag, nn::op_name(op), field,
               near.empty() ? "" : fmt::format("did you mean {}? ", near), fmt::join(names, ", "));
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
    if (out.size() * static_cast<size_t>(vary.values()) > kMost)
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
  } else {
    c.in = {{l.in_height, l.in_width, l.in_channel}};
  }
  attr.relu = op == nn::Op::kConv2d || op == nn::Op::kFc;
  nn::check_shape("sweep:", "the input", c.in[0]);
  nn::output_shape(c.layer, c.in);  // throws Error where the window does not fit
  return c;
}

nlohmann::json sizes_json(nn::Op op, const SweptLayer& l) {
  nlohmann::json config = {{"op", nn::op_name(op)}};
  for (const std::string& name : size_names(op)) config[name] = l.*std::ranges::find(kFields, name, &Size::name)->value;
  return config;
}

}  // namespace fdi::cli
