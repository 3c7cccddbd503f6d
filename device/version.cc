#include "device/version.h"

#include <fdi_build_version.h>  // written by cmake/build_version.cmake

namespace fdi::device {

std::string_view build_version() { return FDI_BUILD_VERSION; }
std::string_view kernels_version() { return FDI_KERNELS_VERSION; }

}  // namespace fdi::device
