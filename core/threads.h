// The one place where the number of compute threads is set. Kernels read threads() and hand it to OpenMP.
#pragma once

namespace fdi::core {

int hardware_threads();   // processors this process may run on
void set_threads(int n);  // throws Error for n < 1 or n > 1024
int threads();            // hardware_threads() until set

}  // namespace fdi::core
