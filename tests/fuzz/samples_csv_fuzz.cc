// Any text as a table of samples: refused with core::Error, or samples that survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "profile/sample.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fdi::profile;
  try {
    const SampleSet set = parse_samples_csv({reinterpret_cast<const char*>(data), size}, "fuzz");
    const std::string text = format_samples_csv(set);
    if (format_samples_csv(parse_samples_csv(text, "again")) != text) std::abort();
  } catch (const fdi::core::Error&) {
  }
  return 0;
}
