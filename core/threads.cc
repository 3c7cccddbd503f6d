#include "core/threads.h"

#include <omp.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.h"

namespace fdi::core {
namespace {

int current = 0;  // 0: not set yet

// Top speed of a processor as the system tells it, in whatever unit; equal for all where it does not.
double speed(int processor) {
  const std::string cpu = "/sys/devices/system/cpu/cpu" + std::to_string(processor);
  for (const char* file : {"/cpu_capacity", "/cpufreq/cpuinfo_max_freq"}) {
    double value = 0;
    if (std::ifstream(cpu + file) >> value) return value;
  }
  return 0;
}

// The processors in `allowed`, fastest first; among equals the one that we are on, then by number.
std::vector<int> ranked(const cpu_set_t& allowed) {
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  const int here = sched_getcpu();
  const auto rank = [&](int i) { return std::pair(-speed(i), i == here ? -1 : i); };
  std::sort(processors.begin(), processors.end(), [&](int a, int b) { return rank(a) < rank(b); });
  return processors;
}

void bind(const int* first, const int* last) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (; first != last; ++first) CPU_SET(*first, &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

int hardware_threads() { return omp_get_num_procs(); }

void set_threads(int n) {
  if (n < 1 || n > 1024)
    fail("--threads {}: wanted a number from 1 to 1024 (this machine has {})", n, hardware_threads());
  current = n;
  omp_set_num_threads(n);
}

int threads() { return current > 0 ? current : hardware_threads(); }

PinnedThreads::PinnedThreads() {
  CPU_ZERO(&before_);
  if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;
  static const std::vector<int> processors = ranked(before_);
  const int n = threads();
  const int* first = processors.data();
  if (static_cast<size_t>(n) > processors.size()) return;  // they must share: the system does that best
  if (n > 1) {
#pragma omp parallel num_threads(n)
    {
      const int* mine = first + omp_get_thread_num();
      bind(mine, mine + 1);
    }
    // OpenMP may end and make anew some of its threads; those inherit this thread's binding, so it is the whole set.
    // It stays where it was just put, since each of the other processors has a thread of its own.
    bind(first, first + n);
  } else {
    bind(first, first + 1);
  }
}

PinnedThreads::~PinnedThreads() {
  if (CPU_COUNT(&before_) > 0) sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace fdi::core
