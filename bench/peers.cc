#include "bench/peers.h"

#include <fmt/core.h>

#include "core/cpu.h"
#include "core/restart.h"
#include "core/threads.h"
#include "kernels/isa.h"
#include "kernels/openblas.h"

#ifdef FDI_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

namespace fdi::bench {
namespace {

#ifdef FDI_HAVE_OPENBLAS
void openblas_multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  const auto im = static_cast<blasint>(m), in = static_cast<blasint>(n), ik = static_cast<blasint>(k);
  kernels::openblas().sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, im, in, ik, 1.0F, a, ik, b, in, 0.0F, c, in);
}
#endif
#ifdef FDI_HAVE_ONEDNN
void onednn_multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  dnnl_sgemm('N', 'N', m, n, k, 1.0F, a, k, b, n, 0.0F, c, n);
}
#endif

}  // namespace

const std::vector<GemmPeer>& gemm_peers() {
  static const std::vector<GemmPeer> peers = {
#ifdef FDI_HAVE_OPENBLAS
      {"openblas", openblas_multiply},
#endif
#ifdef FDI_HAVE_ONEDNN
      {"onednn", onednn_multiply},
#endif
  };
#ifdef FDI_HAVE_OPENBLAS
  kernels::openblas().set_num_threads(core::threads());
#endif
  return peers;
}

bool have_onednn() {
#ifdef FDI_HAVE_ONEDNN
  return true;
#else
  return false;
#endif
}

std::string openblas_version() {
#ifdef FDI_HAVE_OPENBLAS
  const std::string config = kernels::openblas().config;  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  const size_t end = config.find(' ', config.find(' ') + 1);
  return fmt::format("{} ({} kernels)", config.substr(0, end), kernels::openblas().core);
#else
  return "no OpenBLAS";
#endif
}

std::string onednn_version() {
#ifdef FDI_HAVE_ONEDNN
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", v->major, v->minor, v->patch);
#else
  return "no oneDNN";
#endif
}

void restart_with_best_environment(int threads) {
  const bool amd_avx512 =
      core::cpu_info().model.find("AMD") != std::string::npos && kernels::available_isas().front() == "avx512";
  constexpr core::Setting kHaswell{"OPENBLAS_CORETYPE", "Haswell"}, kBind{"OMP_PROC_BIND", "true"};
  if (amd_avx512 && threads > 1) return core::restart_with({kHaswell, kBind});
  if (amd_avx512) return core::restart_with({kHaswell});
  if (threads > 1) return core::restart_with({kBind});
}

}  // namespace fdi::bench
