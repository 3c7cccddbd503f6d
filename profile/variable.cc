#include "profile/variable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "profile/json_fields.h"

namespace fdi::profile {
namespace {

using nn::Op;

Field axis_field(Axis axis) {
  constexpr std::array fields = {Field::kInChannel, Field::kOutChannel, Field::kOutHeight,
                                 Field::kOutWidth,  Field::kPixels,     Field::kStep};
  return fields[static_cast<size_t>(axis)];
}

double up(double n, int step) { return step == 1 ? n : std::ceil(n / step) * step; }

// What one unit of a variable's weight (1 us) is called, and how many of them a person counts in.
struct Unit {
  double per;
  std::string name;
};
Unit unit(Op op, Field field) {
  if (field == Field::kFlops) return {1e6, "ns/kFLOP"};
  if (field == Field::kInputFlops) return {1e6, "ns/kFLOP of the input"};
  if (field == Field::kHiddenFlops) return {1e6, "ns/kFLOP of the hidden state"};
  if (field == Field::kStep) return {1, "us/step"};
  return {1e3, fmt::format("ns/{}", field_name(op, field))};
}

// " (out_channel in steps of 16, once the network takes more than 21 MB)"; empty for a plain field.
std::string qualifiers(Op op, const Variable& variable) {
  std::string text;
  const auto say = [&](const std::string& what) {
    text += text.empty() ? " (" : ", ";
    text += what;
  };
  for (size_t i = 0; i < kAxes; ++i)
    if (const int step = variable.granularity.step[i]; step > 1)
      say(fmt::format("{} in steps of {}", axis_name(op, static_cast<Axis>(i)), step));
  const Gate& gate = variable.gate;
  if (gate.above >= 0) {
    const bool network = gate.field == Field::kNetworkBytes;
    const std::string bound = network ? format_bytes(gate.above) : format_number(gate.above);
    const std::string_view name = network ? "the network" : field_name(op, gate.field);
    if (gate.beyond)
      say(fmt::format("the share of {} beyond {}", name, bound));
    else
      say(fmt::format("once {} {} {}", name, network ? "takes more than" : "is above", bound));
  }
  if (gate.no_multiple_of > 0)
    say(fmt::format("where {} is no multiple of {}", field_name(op, gate.field), gate.no_multiple_of));
  if (!text.empty()) text += ')';
  return text;
}

}  // namespace

std::span<const Axis> rounded_axes(Op op, Field field) {
  using enum Axis;
  static constexpr std::array image = {kOutChannel, kInChannel, kPixels, kOutWidth, kOutHeight};
  static constexpr std::array windows = {kInChannel, kPixels, kOutWidth, kOutHeight};
  static constexpr std::array out = {kOutChannel, kPixels, kOutWidth, kOutHeight};
  static constexpr std::array pixels = {kPixels, kOutWidth, kOutHeight};
  static constexpr std::array dims = {kOutChannel, kInChannel, kStep};
  static constexpr std::array channels = {kOutChannel, kInChannel};
  static constexpr std::array in_channel = {kInChannel};
  static constexpr std::array out_channel = {kOutChannel};
  const bool matrix = op == Op::kConv2d || op == Op::kFc || op == Op::kGru || op == Op::kLstm;
  switch (field) {
    case Field::kFlops:
      if (op == Op::kConv2d) return image;
      if (matrix) return dims;
      return out;
    case Field::kInputFlops:
      return dims;
    case Field::kMemInter:
      if (op == Op::kConv2d) return windows;
      if (op == Op::kGru || op == Op::kLstm) return out_channel;
      return out;
    case Field::kPixels:
    case Field::kTaps:
      return pixels;
    case Field::kMemOut:
      return out;
    case Field::kParamSize:
      if (matrix) return channels;
      return {};
    case Field::kPatch:
    case Field::kMemIn:
    case Field::kInChannel:
      return in_channel;
    case Field::kHiddenFlops:
    case Field::kOutChannel:
      return out_channel;
    default:
      return {};
  }
}

std::string_view axis_name(Op op, Axis axis) { return field_name(op, axis_field(axis)); }

double counted(const Gate& gate, const Structure& s) {
  if (s[gate.field] <= gate.above) return 0;
  if (gate.no_multiple_of > 0 && std::fmod(s[gate.field], gate.no_multiple_of) == 0) return 0;
  return gate.beyond ? 1 - gate.above / s[gate.field] : 1;
}

double rounded(Field field, const Granularity& g, const Structure& s) {
  double value = s[field];
  if (std::all_of(g.step.begin(), g.step.end(), [](int step) { return step == 1; })) return value;
  // Ratios of rounded to true extents: every field is a product of the axes named above.
  const auto ratio = [&](Axis axis) {
    const double n = s[axis_field(axis)];
    return g[axis] > 1 ? up(n, g[axis]) / n : 1;
  };
  value *= ratio(Axis::kInChannel) * ratio(Axis::kOutChannel) * ratio(Axis::kStep);
  if (field == Field::kHiddenFlops) value *= ratio(Axis::kOutChannel);  // its square
  const double height = up(s[Field::kOutHeight], g[Axis::kOutHeight]),
               width = up(s[Field::kOutWidth], g[Axis::kOutWidth]);
  if (s[Field::kPixels] > 0) value *= up(height * width, g[Axis::kPixels]) / s[Field::kPixels];
  return value;
}

double value(const Variable& variable, const Structure& s) {
  const double share = counted(variable.gate, s);
  return share > 0 ? share * rounded(variable.field, variable.granularity, s) : 0;
}

std::string describe(Op op, const Variable& variable) {
  return std::string(field_name(op, variable.field)) + qualifiers(op, variable);
}

double Law::operator()(const Structure& structure) const {
  double us = bias;
  for (size_t i = 0; i < variables.size(); ++i)
    if (weight[i] > 0) us += weight[i] * value(variables[i], structure);
  return us;
}

std::string describe_term(Op op, const Variable& variable) {
  return unit(op, variable.field).name + qualifiers(op, variable);
}

double weight_in_unit(Op op, const Variable& variable, double weight) { return weight * unit(op, variable.field).per; }

std::string describe(Op op, const Law& law) {
  std::string text;
  for (size_t i = 0; i < law.variables.size(); ++i) {
    const Variable& variable = law.variables[i];
    if (law.weight[i] == 0) continue;
    text += fmt::format("{}{:.3g} {}", text.empty() ? "" : " + ", weight_in_unit(op, variable, law.weight[i]),
                        describe_term(op, variable));
  }
  if (law.bias > 0 || text.empty()) text += fmt::format("{}{:.3g} us", text.empty() ? "" : " + ", law.bias);
  return text;
}

nlohmann::json law_to_json(Op op, const Law& law) {
  nlohmann::json terms = nlohmann::json::array();
  for (size_t i = 0; i < law.variables.size(); ++i) {
    const Variable& variable = law.variables[i];
    nlohmann::json term = {{"variable", field_name(op, variable.field)}, {"us_per_unit", law.weight[i]}};
    if (!law.share.empty()) term["share"] = law.share[i];
    for (const Axis axis : rounded_axes(op, variable.field))
      if (variable.granularity[axis] > 1) term["steps"][std::string(axis_name(op, axis))] = variable.granularity[axis];
    const Gate& gate = variable.gate;
    const std::string_view name = field_name(op, gate.field);
    if (gate.above >= 0) term["only_if"] = {{"feature", name}, {gate.beyond ? "beyond" : "above", gate.above}};
    if (gate.no_multiple_of > 0) term["only_if"] = {{"feature", name}, {"no_multiple_of", gate.no_multiple_of}};
    terms.push_back(std::move(term));
  }
  return {{"bias_us", law.bias}, {"terms", std::move(terms)}};
}

Law law_from_json(Op op, const nlohmann::json& json, const std::string& where) {
  Law law;
  law.bias = number_field(json, "bias_us", where, 0);
  for (const nlohmann::json& term : array_field(json, "terms", where)) {
    Variable variable{.field = field_of(op, text_field(term, "variable", where), where)};
    law.weight.push_back(number_field(term, "us_per_unit", where, 0));
    if (term.contains("share")) law.share.push_back(number_field(term, "share", where, 0, 1));
    if (term.contains("only_if")) {
      const nlohmann::json& only_if = term["only_if"];
      Gate& gate = variable.gate;
      gate.field = field_of(op, text_field(only_if, "feature", where), where);
      gate.beyond = only_if.contains("beyond");
      if (only_if.contains("no_multiple_of"))
        gate.no_multiple_of = static_cast<int>(number_field(only_if, "no_multiple_of", where, 2, 1e6));
      else
        gate.above = number_field(only_if, gate.beyond ? "beyond" : "above", where, 0);
    }
    if (term.contains("steps"))
      for (const Axis axis : rounded_axes(op, variable.field))
        if (const std::string name(axis_name(op, axis)); term["steps"].is_object() && term["steps"].contains(name))
          variable.granularity[axis] = static_cast<int>(number_field(term["steps"], name.c_str(), where, 1, 1e6));
    law.variables.push_back(variable);
  }
  if (law.share.size() != law.variables.size()) law.share.clear();  // an older file has none
  return law;
}

std::string format_bytes(double bytes) {
  if (bytes < 1e3) return fmt::format("{:.0f} B", bytes);
  if (bytes < 1e6) return fmt::format("{:.3g} kB", bytes / 1e3);
  return fmt::format("{:.3g} MB", bytes / 1e6);
}

std::string format_number(double number) {
  if (std::abs(number) < 1e6) return fmt::format("{:g}", number);
  return std::abs(number) < 1e9 ? fmt::format("{:.4g}M", number / 1e6) : fmt::format("{:.4g}G", number / 1e9);
}

}  // namespace fdi::profile
