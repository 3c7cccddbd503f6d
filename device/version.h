// Which build this is. Called by the agent and by who talks to it, and by the native engine: times of other kernels are
// refused.
#pragma once
#include <string_view>

namespace fdi::device {

// "0.1.0+8c1f0e4d2b": the program's version and a hash of the sources of kernels/, nn/ and device/. Equal for all
// processors that one source was built for.
std::string_view build_version();
// "0.1.0+7d03a9": the same of what decides how long a network takes: kernels/ and the layers of nn/, but for comments
// and spaces.
std::string_view kernels_version();

}  // namespace fdi::device
