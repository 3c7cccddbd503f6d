#include "profile/scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "profile/json_fields.h"
#include "profile/variable.h"

namespace fdi::profile {
namespace {

using Pair = std::array<int, 2>;

Pair pair_of(const Structure& s, Field height, Field width) {
  return {static_cast<int>(s[height]), static_cast<int>(s[width])};
}
Pair kernel_of(const Structure& s) { return pair_of(s, Field::kKernelHeight, Field::kKernelWidth); }
Pair stride_of(const Structure& s) { return pair_of(s, Field::kStrideHeight, Field::kStrideWidth); }

std::string list(const std::set<Pair>& pairs) {
  std::string text;
  for (const Pair& p : pairs) text += fmt::format(" {}x{}", p[0], p[1]);
  return text;
}

std::set<Pair> pairs_from_json(const nlohmann::json& json, const char* key, const std::string& where) {
  std::set<Pair> pairs;
  for (const nlohmann::json& pair : array_field(json, key, where)) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_integer() || !pair[1].is_number_integer())
      core::fail("{}: \"{}\" holds {}, want pairs such as [3, 3]", where, key, pair.dump());
    pairs.insert(pair.get<Pair>());
  }
  return pairs;
}

// A layer of more work, or in a network of which more has passed through the caches, is a guess; one of less is not.
constexpr std::array kLimited = {Field::kFlops, Field::kNetworkBytes};

bool in_ranges(Field field) {  // kernels and strides are remembered one by one
  return field != Field::kKernelHeight && field != Field::kKernelWidth && field != Field::kStrideHeight &&
         field != Field::kStrideWidth;
}

}  // namespace

void Scope::add(const Structure& structure) {
  for (size_t i = 0; i < kFields; ++i) {
    low_[i] = empty_ ? structure.value[i] : std::min(low_[i], structure.value[i]);
    high_[i] = empty_ ? structure.value[i] : std::max(high_[i], structure.value[i]);
  }
  kernels_.insert(kernel_of(structure));
  strides_.insert(stride_of(structure));
  empty_ = false;
}

std::string Scope::outside(const Structure& structure) const {
  std::string text;
  const auto say = [&](const std::string& what) {
    if (!text.empty()) text += "; ";
    text += what;
  };
  for (const Field field : structure_fields(structure.op)) {
    if (!in_ranges(field)) continue;
    const auto i = static_cast<size_t>(field);
    const double value = structure.value[i];
    if (value >= low_[i] && value <= high_[i]) continue;
    say(fmt::format("{} {} {} {}", field_name(structure.op, field), format_number(value), value < low_[i] ? "<" : ">",
                    format_number(value < low_[i] ? low_[i] : high_[i])));
  }
  for (const Field field : kLimited) {
    const double value = structure[field], most = high_[static_cast<size_t>(field)];
    const bool unknown = field == Field::kNetworkBytes && most == 0;  // samples of a table without that column
    if (value > most && !unknown)
      say(fmt::format("{} {} > {}", field_name(structure.op, field), format_number(value), format_number(most)));
  }
  if (const Pair k = kernel_of(structure); !kernels_.contains(k))
    say(fmt::format("kernel {}x{} never sampled", k[0], k[1]));
  if (const Pair s = stride_of(structure); !strides_.contains(s))
    say(fmt::format("stride {}x{} never sampled", s[0], s[1]));
  return text;
}

std::string Scope::text(nn::Op op) const {
  std::string text;
  for (const Field field : structure_fields(op)) {
    const auto i = static_cast<size_t>(field);
    if (!in_ranges(field) || (low_[i] == 1 && high_[i] == 1)) continue;
    text += fmt::format("{}{} {}..{}", text.empty() ? "" : ", ", field_name(op, field), format_number(low_[i]),
                        format_number(high_[i]));
  }
  if (kernels_ != std::set<Pair>{{1, 1}}) text += ", kernel" + list(kernels_);
  if (strides_ != std::set<Pair>{{1, 1}}) text += ", stride" + list(strides_);
  return text;
}

nlohmann::json Scope::to_json(nn::Op op) const {
  nlohmann::json ranges = nlohmann::json::object();
  for (const Field field : structure_fields(op)) {
    const auto i = static_cast<size_t>(field);
    if (in_ranges(field)) ranges[std::string(field_name(op, field))] = {{"min", low_[i]}, {"max", high_[i]}};
  }
  for (const Field field : kLimited)
    ranges[std::string(field_name(op, field))] = {{"max", high_[static_cast<size_t>(field)]}};
  return {{"ranges", std::move(ranges)}, {"kernels", kernels_}, {"strides", strides_}};
}

Scope Scope::from_json(nn::Op op, const nlohmann::json& json, const std::string& where) {
  Scope scope;
  const nlohmann::json& ranges = field(json, "ranges", where);
  for (const Field f : structure_fields(op)) {
    if (!in_ranges(f)) continue;
    const nlohmann::json& range = field(ranges, std::string(field_name(op, f)).c_str(), where);
    scope.low_[static_cast<size_t>(f)] = number_field(range, "min", where, 0);
    scope.high_[static_cast<size_t>(f)] = number_field(range, "max", where, 0);
  }
  for (const Field f : kLimited)
    scope.high_[static_cast<size_t>(f)] =
        number_field(field(ranges, std::string(field_name(op, f)).c_str(), where), "max", where, 0);
  scope.kernels_ = pairs_from_json(json, "kernels", where);
  scope.strides_ = pairs_from_json(json, "strides", where);
  scope.empty_ = false;
  return scope;
}

}  // namespace fdi::profile
