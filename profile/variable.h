// Variable: one explanatory variable of a law, a field of the structure, perhaps with its shape rounded up (an engine
// that computes whole vectors or tiles pays for whole ones), counted only once a network has outgrown a cache, only the
// share of it that does not fit, or only where a vector is left partly filled.
// Law: the non-negative weights of a few variables: how long a component takes. Both print as a person reads them.
#pragma once
#include <array>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "profile/features.h"

namespace fdi::profile {

// The axes that may be rounded up.
enum class Axis : uint8_t { kInChannel, kOutChannel, kOutHeight, kOutWidth, kPixels, kStep };
constexpr size_t kAxes = 6;
std::span<const Axis> rounded_axes(nn::Op op, Field field);  // those that the field is a product of
std::string_view axis_name(nn::Op op, Axis axis);

struct Granularity {
  std::array<int, kAxes> step{1, 1, 1, 1, 1, 1};
  int operator[](Axis axis) const { return step[static_cast<size_t>(axis)]; }
  int& operator[](Axis axis) { return step[static_cast<size_t>(axis)]; }
  bool operator==(const Granularity&) const = default;
};

// Where a variable counts: where this field is above this bound, or no multiple of this step (one of the two); -1 and
// 0: always.
struct Gate {
  Field field = Field::kNetworkBytes;
  double above = -1;
  bool beyond = false;  // of what is counted above the bound, only the share of the field that exceeds it
  int no_multiple_of = 0;
  bool always() const { return above < 0 && no_multiple_of == 0; }
  bool operator==(const Gate&) const = default;
  bool operator<(const Gate& other) const {
    const auto all = [](const Gate& g) { return std::tie(g.field, g.above, g.beyond, g.no_multiple_of); };
    return all(*this) < all(other);
  }
};

struct Variable {
  Field field = Field::kFlops;
  Granularity granularity{};  // the field of a shape with every axis rounded up, pixels after height and width
  Gate gate{};
  bool operator==(const Variable&) const = default;
};
double value(const Variable& variable, const Structure& structure);  // the product of these two:
double counted(const Gate& gate, const Structure& structure);        // the share that counts, 0 to 1
double rounded(Field field, const Granularity& granularity, const Structure& structure);
std::string describe(nn::Op op, const Variable& variable);  // "FLOPs (out_channel in steps of 16)"

struct Law {
  std::vector<Variable> variables;
  std::vector<double> weight;   // of each variable, us per unit
  double bias = 0;              // us
  std::vector<double> share{};  // of each variable in the time of the samples it was fitted to; empty: not known
  double operator()(const Structure& structure) const;
};
std::string describe(nn::Op op, const Law& law);  // "3.1 ns/kFLOP + 0.2 ns/mem_in + 1.5 us"
// The same in parts: "ns/kFLOP (out_channel in steps of 16)", and the weight as a number of that unit.
std::string describe_term(nn::Op op, const Variable& variable);
double weight_in_unit(nn::Op op, const Variable& variable, double weight);

nlohmann::json law_to_json(nn::Op op, const Law& law);
Law law_from_json(nn::Op op, const nlohmann::json& json, const std::string& where);

std::string format_bytes(double bytes);  // "21 MB"
// "12", "1.5M": sizes as a person reads them, exact below a million.
std::string format_number(double number);

}  // namespace fdi::profile
