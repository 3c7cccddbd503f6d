// A program that is spoken to line by line over its standard streams, with a time limit for everything; its standard
// error stays the caller's. Called by the agent's runner.
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace fdi::profile {

class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& words);  // throws Error where nothing can be started
  ~ChildProcess();                                               // its input ends; soon after it is killed
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  enum class Outcome { kDone, kTimeout, kEnded };
  // `line` is without its end.
  Outcome send(std::string_view line, double seconds);
  Outcome receive(std::string& line, size_t max_bytes, double seconds);
  // Kills it, where it still runs, with everything it started; how it ended: "exit status 3", "killed by signal 11".
  std::string end();

 private:
  Outcome wait(short events, double deadline) const;

  pid_t pid_ = -1;
  int socket_ = -1;
  std::string received_;  // beyond the last line
};

}  // namespace fdi::profile
