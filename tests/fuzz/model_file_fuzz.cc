// Any bytes as a model file: refused with core::Error, or a model of which every weight can be read.
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "nn/model_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const fdi::nn::Model model = fdi::nn::parse_model(bytes, "fuzz");
    volatile float sum = 0;
    for (const float v : model.parameters.all()) sum = sum + v;
  } catch (const fdi::core::Error&) {
  }
  return 0;
}
