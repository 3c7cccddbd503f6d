// Progress: one live line on standard error; a plain line per finished step when standard error is no terminal.
#pragma once
#include <string>
#include <string_view>

namespace fdi::core {

class Progress {
 public:
  Progress();
  ~Progress();                         // ends the live line
  void update(std::string_view line);  // terminal only, at most ten times a second
  void finish(std::string_view line);  // the line stays (end of an epoch, of a download); printed everywhere

 private:
  bool terminal_;
  bool dirty_ = false;
  double last_seconds_ = 0;
};

double monotonic_seconds();                   // a steady clock
std::string format_duration(double seconds);  // "48 s", "3 min 20 s", "1 h 05 min"

}  // namespace fdi::core
