// Any text as a NetworkSpec: refused with core::Error, or a spec that survives its own JSON and can be summed up.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/fuse.h"
#include "nn/spec.h"
#include "nn/summary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fdi::nn;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const NetworkSpec spec = spec_from_json(parse_json(text, "fuzz"), "fuzz");
    if (spec_from_json(spec_to_json(spec), "again") != spec) std::abort();
    summarize(fuse_relu(spec));
  } catch (const fdi::core::Error&) {
  }
  return 0;
}
