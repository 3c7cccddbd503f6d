#include "profile/variable_columns.h"

#include <algorithm>
#include <array>

namespace fdi::profile {
namespace {

constexpr std::array kVectors = {4, 8, 16};  // of outputs, the last one may be partly filled
constexpr int kBounds = 12;                  // quantiles of a gate's field

std::vector<double> quantiles(std::span<const Observation> data, Field field) {
  std::vector<double> values, bounds;
  for (const Observation& o : data) values.push_back(o.structure[field]);
  std::sort(values.begin(), values.end());
  for (int q = 1; q <= kBounds && !values.empty(); ++q) {
    const double bound = values[values.size() * q / (kBounds + 1)];
    if (bound < values.back() && bound >= values.front() && (bounds.empty() || bound > bounds.back()))
      bounds.push_back(bound);
  }
  return bounds;
}

}  // namespace

Columns::Columns(std::span<const Observation> data, Weighting weighting) : data_(data) {
  for (const Observation& o : data) {
    scale_.push_back(weighting == Weighting::kRelative ? 1 / o.us : 1);
    target_.push_back(scale_.back() * o.us);
  }
  for (const Field field : {Field::kNetworkBytes, Field::kParamSize, Field::kInChannel, Field::kOutChannel})
    for (const double bound : quantiles(data, field))
      for (const bool beyond : {false, true}) gates_.push_back({.field = field, .above = bound, .beyond = beyond});
  for (const int step : kVectors) gates_.push_back({.field = Field::kOutChannel, .no_multiple_of = step});
}

Column Columns::of(const Variable& variable) {
  const auto remembered = [&](auto& columns, const auto& key, const auto& value) -> const Column& {
    const auto [found, is_new] = columns.try_emplace(key);
    if (is_new)
      for (size_t i = 0; i < data_.size(); ++i) found->second.push_back(value(i));
    return found->second;
  };
  Column column = remembered(rounded_, std::pair(variable.field, variable.granularity.step), [&](size_t i) {
    return scale_[i] * rounded(variable.field, variable.granularity, data_[i].structure);
  });
  if (variable.gate.always()) return column;
  const Column& share =
      remembered(counted_, variable.gate, [&](size_t i) { return counted(variable.gate, data_[i].structure); });
  for (size_t i = 0; i < column.size(); ++i) column[i] *= share[i];
  return column;
}

}  // namespace fdi::profile
