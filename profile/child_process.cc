#include "profile/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/progress.h"

extern char** environ;

namespace fdi::profile {
namespace {

// A group of its own, so that what a shell or ssh starts can be ended with it; signals that the program ignores are the
// child's again.
int spawn(pid_t& pid, const std::vector<std::string>& words, int socket) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t usual;
  sigemptyset(&usual);
  for (const int signal : {SIGPIPE, SIGXFSZ}) sigaddset(&usual, signal);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  const int error = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

}  // namespace

// A pair of sockets rather than pipes: writing to a program that has ended is an error there, no signal.
ChildProcess::ChildProcess(const std::vector<std::string>& words) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    core::fail("{}: cannot be started: {}", words.front(), std::strerror(errno));
  const int error = spawn(pid_, words, ends[1]);
  ::close(ends[1]);
  socket_ = ends[0];
  if (error != 0) {
    ::close(socket_);
    core::fail("{}: cannot be started: {}; install it, or give another command", words.front(), std::strerror(error));
  }
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    ::shutdown(socket_, SHUT_WR);  // an agent ends by itself now
    constexpr int kPatience = 50;  // times 10 ms
    for (int i = 0; i < kPatience && pid_ > 0; ++i) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
      if (pid_ > 0) ::usleep(10'000);
    }
  }
  end();
  ::close(socket_);
}

ChildProcess::Outcome ChildProcess::wait(short events, double deadline) const {
  for (;;) {
    const double left_ms = std::ceil((deadline - core::monotonic_seconds()) * 1e3);
    if (left_ms <= 0) return Outcome::kTimeout;
    pollfd poll{socket_, events, 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(std::min(left_ms, 1e6)));
    if (ready > 0) return Outcome::kDone;
    if (ready < 0 && errno != EINTR) return Outcome::kEnded;
  }
}

ChildProcess::Outcome ChildProcess::send(std::string_view line, double seconds) {
  const double deadline = core::monotonic_seconds() + seconds;
  const std::string text = std::string(line) + '\n';
  for (size_t sent = 0; sent < text.size();) {
    if (const Outcome outcome = wait(POLLOUT, deadline); outcome != Outcome::kDone) return outcome;
    const ssize_t n = ::send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EINTR && errno != EAGAIN) return Outcome::kEnded;
    if (n > 0) sent += static_cast<size_t>(n);
  }
  return Outcome::kDone;
}

ChildProcess::Outcome ChildProcess::receive(std::string& line, size_t max_bytes, double seconds) {
  const double deadline = core::monotonic_seconds() + seconds;
  for (size_t searched = 0;;) {
    const size_t end = received_.find('\n', searched);
    if (end != std::string::npos || received_.size() > max_bytes) {  // too long a line is for the caller to refuse
      line = received_.substr(0, end);
      received_.erase(0, end == std::string::npos ? end : end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();  // a terminal in between
      return Outcome::kDone;
    }
    searched = received_.size();
    if (const Outcome outcome = wait(POLLIN, deadline); outcome != Outcome::kDone) return outcome;
    std::array<char, 65536> buffer;
    const ssize_t n = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) return Outcome::kEnded;
    if (n > 0) received_.append(buffer.data(), static_cast<size_t>(n));
  }
}

std::string ChildProcess::end() {
  if (pid_ <= 0) return "ended";
  // One that has closed its streams is given a moment to end by itself, so that its own status is what we tell.
  int status = 0;
  pid_t gone = 0;
  for (int i = 0; i < 20 && (gone = ::waitpid(pid_, &status, WNOHANG)) == 0; ++i) ::usleep(5'000);
  ::kill(-pid_, SIGKILL);
  if (gone == 0) ::waitpid(pid_, &status, 0);
  pid_ = -1;
  if (gone == 0) return "killed";
  if (WIFSIGNALED(status)) return fmt::format("killed by signal {}", WTERMSIG(status));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace fdi::profile
