#include "core/threads.h"

#include <omp.h>

#include "core/error.h"

namespace fdi::core {
namespace {
int current = 0;  // 0: not set yet
}

int hardware_threads() { return omp_get_num_procs(); }

void set_threads(int n) {
  if (n < 1 || n > 1024)
    fail("--threads {}: wanted a number from 1 to 1024 (this machine has {})", n, hardware_threads());
  current = n;
  omp_set_num_threads(n);
}

int threads() { return current > 0 ? current : hardware_threads(); }

}  // namespace fdi::core
