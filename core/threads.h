// The one place where the number of compute threads is set, and where they are bound to processors. Kernels read
// threads() and hand it to OpenMP.
#pragma once
#include <sched.h>

namespace fdi::core {

int hardware_threads();   // processors this process may run on
void set_threads(int n);  // throws Error for n < 1 or n > 1024
int threads();            // hardware_threads() until set

// While it lives, no compute thread wanders: one thread stays on one processor, of several each OpenMP thread has one
// of its own; the fastest ones where they differ. A process picks its processors once. Threads that are made meanwhile
// inherit the caller's binding: make pools before. A system that does not allow it leaves everything as it was.
class PinnedThreads {
 public:
  PinnedThreads();
  ~PinnedThreads();  // the calling thread may run everywhere again
  PinnedThreads(const PinnedThreads&) = delete;
  PinnedThreads& operator=(const PinnedThreads&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace fdi::core
