// Members of JSON objects that came from outside (a device's answer, a stored row), checked: a missing member or one of
// the wrong kind throws Error that says which. Called by the readers of device/.
#pragma once
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace fdi::device {

inline const nlohmann::json& member(const nlohmann::json& object, const char* key, const std::string& where) {
  if (!object.is_object()) core::fail("{}: got a {}, wanted an object", where, object.type_name());
  const auto found = object.find(key);
  if (found == object.end()) core::fail("{}: \"{}\" is missing", where, key);
  return *found;
}

inline std::string text_member(const nlohmann::json& object, const char* key, const std::string& where) {
  const nlohmann::json& value = member(object, key, where);
  if (!value.is_string()) core::fail("{}: \"{}\" is a {}, wanted a text", where, key, value.type_name());
  return value.get<std::string>();
}

inline bool bool_member(const nlohmann::json& object, const char* key, const std::string& where) {
  const nlohmann::json& value = member(object, key, where);
  if (!value.is_boolean()) core::fail("{}: \"{}\" is a {}, wanted true or false", where, key, value.type_name());
  return value.get<bool>();
}

// A number from `low` to `high`.
inline double number_member(const nlohmann::json& object, const char* key, double low, double high,
                            const std::string& where) {
  const nlohmann::json& value = member(object, key, where);
  if (!value.is_number()) core::fail("{}: \"{}\" is a {}, wanted a number", where, key, value.type_name());
  const auto number = value.get<double>();
  if (!(number >= low && number <= high))
    core::fail("{}: \"{}\" is {}, wanted {} to {}", where, key, number, low, high);
  return number;
}

inline int int_member(const nlohmann::json& object, const char* key, int low, int high, const std::string& where) {
  const double number = number_member(object, key, low, high, where);
  if (number != std::floor(number)) core::fail("{}: \"{}\" is {}, wanted a whole number", where, key, number);
  return static_cast<int>(number);
}

}  // namespace fdi::device
