#include "device/version.h"

#include <fdi_build_version.h>  // written by cmake/build_version.cmake
#include <fmt/format.h>

#include <cstdlib>

#include "core/error.h"

namespace fdi::device {

std::string_view build_version() { return FDI_BUILD_VERSION; }

std::string kernels_version() { return fmt::format("r{} {}", kKernelsRevision, FDI_COMPILER); }

bool optimized_build() {
#ifdef __OPTIMIZE__
  return std::string_view(FDI_COMPILER).find("-fsanitize") == std::string_view::npos;
#else
  return false;
#endif
}

bool test_times() {
  const char* set = std::getenv("FASTDEEPIOT_TEST_TIMES");
  return set != nullptr && std::string_view(set) == "1";
}

void require_optimized(bool optimized) {
  if (optimized || test_times()) return;
  core::fail(
      "this build ({}) is not optimised, so its times mean nothing; build with -DCMAKE_BUILD_TYPE=Release, as "
      "./setup.sh does (FASTDEEPIOT_TEST_TIMES=1 measures all the same)",
      FDI_COMPILER);
}

}  // namespace fdi::device
