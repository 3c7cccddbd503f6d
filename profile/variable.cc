#include "profile/variable.h"

#include <fmt/format.h>

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
  if (field == Field::kStep) return {1, "us/step"};
  return {1e3, fmt::format("ns/{}", field_name(op, field))};
}

std::string steps_text(Op op, const Granularity& granularity) {
  std::string text;
  for (size_t i = 0; i < kAxes; ++i)
    if (granularity.step[i] > 1)
      text += fmt::format("{}{} in steps of {}", text.empty() ? "" : ", ", axis_name(op, static_cast<Axis>(i)),
                          granularity.step[i]);
  return text;
}

}  // namespace

std::span<const Axis> rounded_axes(Op op) {
  static constexpr std::array conv = {Axis::kOutChannel, Axis::kInChannel, Axis::kPixels, Axis::kOutWidth,
                                      Axis::kOutHeight};
  static constexpr std::array dims = {Axis::kOutChannel, Axis::kInChannel, Axis::kStep};
  if (op == Op::kConv2d) return conv;
  if (op == Op::kFc || op == Op::kGru || op == Op::kLstm) return dims;
  return {};
}

std::string_view axis_name(Op op, Axis axis) { return field_name(op, axis_field(axis)); }

double rounded_flops(const Structure& s, const Granularity& g) {
  if (g == Granularity{}) return s[Field::kFlops];
  const double in = up(s[Field::kInChannel], g[Axis::kInChannel]);
  const double out = up(s[Field::kOutChannel], g[Axis::kOutChannel]);
  const double step = up(s[Field::kStep], g[Axis::kStep]);
  if (s.op == Op::kGru || s.op == Op::kLstm) return 2 * step * (s.op == Op::kGru ? 3 : 4) * out * (in + out);
  if (s.op == Op::kFc) return 2 * step * in * out;
  const double pixels =
      up(up(s[Field::kOutHeight], g[Axis::kOutHeight]) * up(s[Field::kOutWidth], g[Axis::kOutWidth]), g[Axis::kPixels]);
  return 2 * step * pixels * s[Field::kKernelHeight] * s[Field::kKernelWidth] * in * out;
}

double value(const Variable& variable, const Structure& structure) {
  if (structure[Field::kNetworkBytes] <= variable.network_above) return 0;
  return variable.field == Field::kFlops ? rounded_flops(structure, variable.granularity) : structure[variable.field];
}

std::string describe(Op op, const Variable& variable) {
  std::string text(field_name(op, variable.field));
  const std::string steps = steps_text(op, variable.granularity);
  if (!steps.empty()) text += fmt::format(" ({})", steps);
  if (variable.network_above >= 0)
    text += fmt::format(" once the network takes more than {}", format_bytes(variable.network_above));
  return text;
}

double Law::operator()(const Structure& structure) const {
  double us = bias;
  for (size_t i = 0; i < variables.size(); ++i)
    if (weight[i] > 0) us += weight[i] * value(variables[i], structure);
  return us;
}

std::string describe(Op op, const Law& law) {
  std::string text;
  for (size_t i = 0; i < law.variables.size(); ++i) {
    const Variable& variable = law.variables[i];
    if (law.weight[i] == 0) continue;
    const Unit u = unit(op, variable.field);
    text += fmt::format("{}{:.3g} {}", text.empty() ? "" : " + ", law.weight[i] * u.per, u.name);
    const std::string steps = steps_text(op, variable.granularity);
    if (!steps.empty()) text += fmt::format(" ({})", steps);
    if (variable.network_above >= 0)
      text += fmt::format(" (once the network takes more than {})", format_bytes(variable.network_above));
  }
  if (law.bias > 0 || text.empty()) text += fmt::format("{}{:.3g} us", text.empty() ? "" : " + ", law.bias);
  return text;
}

nlohmann::json law_to_json(Op op, const Law& law) {
  nlohmann::json terms = nlohmann::json::array();
  for (size_t i = 0; i < law.variables.size(); ++i) {
    const Variable& variable = law.variables[i];
    nlohmann::json term = {{"variable", field_name(op, variable.field)}, {"us_per_unit", law.weight[i]}};
    for (const Axis axis : rounded_axes(op))
      if (variable.granularity[axis] > 1) term["steps"][std::string(axis_name(op, axis))] = variable.granularity[axis];
    if (variable.network_above >= 0) term["network_bytes_above"] = variable.network_above;
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
    if (term.contains("network_bytes_above"))
      variable.network_above = number_field(term, "network_bytes_above", where, 0);
    if (term.contains("steps"))
      for (const Axis axis : rounded_axes(op))
        if (const std::string name(axis_name(op, axis)); term["steps"].is_object() && term["steps"].contains(name))
          variable.granularity[axis] = static_cast<int>(number_field(term["steps"], name.c_str(), where, 1, 1e6));
    law.variables.push_back(variable);
  }
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
