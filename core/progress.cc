#include "core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

namespace fdi::core {

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format_duration(double seconds) {
  const auto s = static_cast<long>(std::lround(seconds < 0 ? 0 : seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (dirty_) std::fputc('\n', stderr);
}

void Progress::update(std::string_view line) {
  if (!terminal_) return;
  const double now = monotonic_seconds();
  if (now - last_seconds_ < 0.1) return;
  last_seconds_ = now;
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
  dirty_ = true;
}

void Progress::finish(std::string_view line) {
  fmt::print(stderr, "{}{}\n", dirty_ ? "\r\033[K" : "", line);
  std::fflush(stderr);
  dirty_ = false;
}

}  // namespace fdi::core
