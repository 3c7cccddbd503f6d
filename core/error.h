// The one exception of the program: bad input of any kind (a shape, a file, a flag, a device's answer).
// The message is one line that says what was got, what was wanted, where, and what to do.
// Only main() prints it. Programmer errors use CHECK/DCHECK (core/check.h) instead.
#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace fdi::core {

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fdi::core
