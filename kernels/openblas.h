// OpenBLAS, a second provider of matrix products and a peer of the benchmarks. It is loaded when it is first asked for,
// since its start-up takes much memory, and where a limit leaves too little of it (ulimit -v) tries again for ever.
#pragma once
#ifdef FDI_HAVE_OPENBLAS
#include <cblas.h>
#endif

namespace fdi::kernels {

#ifdef FDI_HAVE_OPENBLAS
struct OpenBlas {
  decltype(&cblas_sgemm) sgemm;
  decltype(&openblas_set_num_threads) set_num_threads;
  const char* config;  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  const char* core;    // "Haswell": the processor that its kernels are for
};

// The library, loaded by the first call, which reads OPENBLAS_CORETYPE. Throws Error where it cannot be loaded. Not for
// several threads at once.
const OpenBlas& openblas();
#endif

}  // namespace fdi::kernels
