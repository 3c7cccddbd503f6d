#include "cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

#include "core/error.h"
#include "core/text.h"

namespace fdi::cli {
namespace {

int lost_output = 0;  // errno of the first write to standard output that failed

}  // namespace

void prepare_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  // open() takes the lowest free number. Reading from a stream that was closed ends at once, writing to it fails.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) == -1 && errno == EBADF && ::open("/dev/null", O_RDONLY) < 0) return;
}

void write_note(std::string_view line) noexcept {
  try {
    const std::string text = core::printable(line) + "\n";
    std::fwrite(text.data(), 1, text.size(), stderr);
  } catch (const std::bad_alloc&) {  // as it is, then
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fputc('\n', stderr);
  }
}

void write_output(std::string_view text) {
  if (lost_output != 0) return;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    lost_output = errno == 0 ? EIO : errno;
}

bool output_is_whole() {
  if (lost_output != 0 && lost_output != EPIPE)
    core::fail_as(core::ErrorCode::kSystem, "cannot write to standard output: {}; a part of the result is not shown",
                  std::strerror(lost_output));
  return lost_output == 0;
}

}  // namespace fdi::cli
