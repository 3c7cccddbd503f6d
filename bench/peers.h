// The libraries that we are compared with, each at its best settings: OpenBLAS and oneDNN, where they were found.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace fdi::bench {

// c (m, n) = a (m, k) b (k, n), row-major, on core::threads() threads.
struct GemmPeer {
  std::string name;  // "openblas", "onednn"
  void (*multiply)(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c);
};
const std::vector<GemmPeer>& gemm_peers();

bool have_onednn();
std::string openblas_version();  // "OpenBLAS 0.3.21 (Haswell kernels)" or "no OpenBLAS"
std::string onednn_version();

// The libraries read some settings from the environment as they are loaded. If this process lacks the best ones, sets
// them and starts the program anew (core/restart.h).
//   OPENBLAS_CORETYPE=Haswell on AMD processors with AVX-512: OpenBLAS 0.3.21 takes its Cooper Lake kernels there, and
//   was measured 4% slower with them on large and up to 45% on small products than with the AVX2 ones (Zen 4).
//   OMP_PROC_BIND=true for several threads: one thread per core, ours and the peers'.
void restart_with_best_environment(int threads);

}  // namespace fdi::bench
