// What kind of file some bytes are, by their first bytes: so that a file of another program is named, not called
// damaged. Called where a model file or a JSON text cannot be read.
#pragma once
#include <string_view>

namespace fdi::nn {

inline constexpr std::string_view kSafetensors = "a safetensors file", kJsonText = "a JSON text";

// "an ONNX file"; empty: unknown.
std::string_view file_kind(std::string_view bytes);

}  // namespace fdi::nn
