// Attributes of layers as JSON: one table row per key says how it is read, written and which values it may have.
// Called by spec.cc; OpInfo::attributes names the rows that an op has.
#pragma once
#include <nlohmann/json.hpp>
#include <string_view>

#include "nn/spec.h"

namespace fdi::nn {

// [32, 32, 3]; false for anything but 1 to kMaxRank integers.
bool read_shape(const nlohmann::json& value, Shape& out);
nlohmann::json write_shape(const Shape& shape);

// Puts the value into layer.attr. Throws Error for a value of the wrong type; the range is check_attributes' part.
void read_attribute(std::string_view key, const nlohmann::json& value, LayerSpec& layer);
nlohmann::json write_attribute(std::string_view key, const Attributes& attr);
// Throws Error "[conv2d conv1] units: got 0, want ..." for an attribute of the layer's op that is out of range.
void check_attributes(const LayerSpec& layer);

}  // namespace fdi::nn
