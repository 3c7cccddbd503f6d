#include "core/restart.h"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fdi::core {
namespace {

constexpr const char* kOnce = "FASTDEEPIOT_RESTARTED";

// The words of this process's command line, for execv. (A file of /proc has no size: read to its end.)
std::vector<std::string> command_line() {
  std::vector<std::string> words;
  std::ifstream in("/proc/self/cmdline");
  for (std::string word; std::getline(in, word, '\0');) words.push_back(word);
  return words;
}

// Where OMP_PROC_BIND is set already, OpenMP has bound this thread to one processor; a program started now would
// inherit that and crowd all its threads there. The places still name all processors that the process was given.
void unbind() {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> ids(static_cast<size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, ids.data());
    for (const int id : ids) CPU_SET(id, &all);
  }
  if (CPU_COUNT(&all) > 0) ::sched_setaffinity(0, sizeof(all), &all);
}

}  // namespace

bool restarted() { return std::getenv(kOnce) != nullptr; }

void restart_with(std::initializer_list<Setting> settings) {
  std::error_code ignored;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (self.filename() != "fastdeepiot" || restarted()) return;
  bool changed = false;
  for (const Setting& setting : settings) {
    if (std::getenv(setting.name) != nullptr) continue;
    ::setenv(setting.name, setting.value, 1);
    changed = true;
  }
  std::vector<std::string> words = command_line();
  if (!changed || words.empty()) return;
  ::setenv(kOnce, "1", 1);
  unbind();
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());  // returns only where it failed: then the program goes on as it is
}

}  // namespace fdi::core
