// Which build this is. Called by the agent and by who talks to it: times of other kernels are refused.
#pragma once
#include <string_view>

namespace fdi::device {

// "0.1.0+8c1f0e4d2b": the program's version and a hash of the sources of kernels/, nn/ and device/. Equal for all
// processors that one source was built for.
std::string_view build_version();

}  // namespace fdi::device
