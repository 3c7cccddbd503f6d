#include "core/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "core/text.h"

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

namespace {

// Where standard error cannot be written (the terminal is gone, the disk behind it is full) the text is lost: what is
// shown never changes the work.
void show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  std::clearerr(stderr);
}

// The first columns of a line that fits the terminal; a wrapped line could not be replaced by the next.
std::string_view fitted(std::string_view line) {
  winsize size{};
  const size_t columns = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
  size_t end = std::min(line.size(), columns - 1);
  while (end > 0 && end < line.size() && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;  // whole UTF-8
  return line.substr(0, end);
}

}  // namespace

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (dirty_) show("\n");
}

void Progress::update(std::string_view line) {
  if (!terminal_) return;
  const double now = monotonic_seconds();
  if (now - last_seconds_ < 0.1) return;
  last_seconds_ = now;
  show(fmt::format("\r\033[K{}", fitted(printable(line))));
  dirty_ = true;
}

void Progress::finish(std::string_view line) {
  show(fmt::format("{}{}\n", dirty_ ? "\r\033[K" : "", printable(line)));
  dirty_ = false;
}

}  // namespace fdi::core
