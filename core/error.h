// The one exception of the program: bad input of any kind (a shape, a file, a flag, a device's answer), what the system
// refuses (memory, threads, disk), a limit that the result does not keep. The message is one line that says what was
// got, what was wanted, where, and what to do. Only main() prints it. Programmer errors use CHECK/DCHECK
// (core/check.h).
#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace fdi::core {

enum class ErrorCode {
  kBadInput,  // the request cannot be served as it was given: exit status 2
  kSystem,    // the system refuses what a right request needs: exit status 1
  kUnmet,     // the work is done and kept, but its result misses a limit that was asked for: exit status 1
};

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorCode code = ErrorCode::kBadInput)
      : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
[[noreturn]] void fail_as(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...), code);
}

}  // namespace fdi::core
