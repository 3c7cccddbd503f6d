// Any bytes as JPEG or PNG: only core::Error may come out. The first byte chooses the reduced-scale decoding.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/error.h"
#include "datasets/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    const auto image = fdi::datasets::decode_image({data + 1, size - 1}, "fuzz", data[0] % 64);
    if (image.bytes() > 3 * 1024 * 1024) return 0;  // the time goes into decoding
    std::vector<uint8_t> out(24 * 16 * 3);
    fdi::datasets::fit_image(image, 24, 16, out);
  } catch (const fdi::core::Error&) {
  }
  return 0;
}
