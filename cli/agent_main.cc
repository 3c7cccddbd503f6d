// The program `fastdeepiot-agent`: times jobs on the device it runs on. Reads requests from standard input and answers
// on standard output, one JSON object a line (device/protocol.h); started by `fastdeepiot profile --device`.
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/text.h"
#include "device/protocol.h"
#include "device/version.h"

namespace {

void write_line(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fdi::core::fail("standard output: {}", std::strerror(errno));
    text.remove_prefix(static_cast<size_t>(n));
  }
}

// One line; false where it could not be written.
bool say(std::FILE* to, std::string_view text) {
  return std::fputs((fdi::core::printable(text) + "\n").c_str(), to) >= 0 && std::fflush(to) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const bool version = std::string_view(argv[1]) == "--version";
    const bool said = say(version ? stdout : stderr, fmt::format("fastdeepiot-agent {}", fdi::device::build_version()));
    if (version) return said ? 0 : 1;
    say(stderr, "takes no arguments: it is started by `fastdeepiot profile --device ...`");
    return 2;
  }
  // Only answers may reach standard output: what a library prints goes to standard error.
  const int answers = ::dup(STDOUT_FILENO);
  if (answers < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    std::perror("fastdeepiot-agent: standard output");
    return 1;
  }
  try {
    fdi::device::serve(std::cin, [answers](const std::string& line) { write_line(answers, line + '\n'); });
  } catch (const std::exception& e) {
    say(stderr, fmt::format("fastdeepiot-agent: {}", e.what()));
    return 1;
  }
  return 0;
}
