// Members of a JSON object with the checks that a file from outside needs: each throws Error naming the file and the
// member. Used by what reads a time model.
#pragma once
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace fdi::profile {

inline const nlohmann::json& field(const nlohmann::json& json, const char* key, const std::string& where) {
  if (!json.is_object()) core::fail("{}: got a {} where an object with \"{}\" should be", where, json.type_name(), key);
  const auto found = json.find(key);
  if (found == json.end()) core::fail("{}: \"{}\" is missing; the file is damaged, fit the model anew", where, key);
  return *found;
}

inline double number_field(const nlohmann::json& json, const char* key, const std::string& where, double low,
                           double high = std::numeric_limits<double>::max()) {
  const nlohmann::json& member = field(json, key, where);
  if (!member.is_number()) core::fail("{}: \"{}\" is a {}, want a number", where, key, member.type_name());
  const double number = member.get<double>();
  if (!(number >= low && number <= high)) core::fail("{}: \"{}\" is {}, want {} to {}", where, key, number, low, high);
  return number;
}

inline std::string text_field(const nlohmann::json& json, const char* key, const std::string& where) {
  const nlohmann::json& member = field(json, key, where);
  if (!member.is_string()) core::fail("{}: \"{}\" is a {}, want a text", where, key, member.type_name());
  return member.get<std::string>();
}

inline const nlohmann::json& array_field(const nlohmann::json& json, const char* key, const std::string& where) {
  const nlohmann::json& member = field(json, key, where);
  if (!member.is_array()) core::fail("{}: \"{}\" is a {}, want a list", where, key, member.type_name());
  return member;
}

}  // namespace fdi::profile
