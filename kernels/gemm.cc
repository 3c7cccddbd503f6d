#include "kernels/gemm.h"

#include <algorithm>

#include "core/check.h"
#include "core/error.h"
#include "kernels/gemm_native.h"
#include "kernels/isa.h"
#include "kernels/openblas.h"
#ifdef FDI_HAVE_OPENBLAS
#include <omp.h>
#endif

namespace fdi::kernels {
namespace {

GemmProvider provider = GemmProvider::kNative;

// What the native write-back does on its way, as passes of their own.
void finish(const Gemm& g) {
  if (g.bias == nullptr && g.activation == Activation::kNone) return;
  for (int64_t i = 0; i < g.m; ++i) {
    float* c = g.c + i * g.ldc;
    if (g.bias != nullptr)
      for (int64_t j = 0; j < g.n; ++j) c[j] += g.bias[j];
    if (g.activation == Activation::kRelu)
      for (int64_t j = 0; j < g.n; ++j) c[j] = std::max(c[j], 0.0F);
  }
}

void clear(const Gemm& g) {
  if (g.accumulate) return;
  for (int64_t i = 0; i < g.m; ++i) std::fill_n(g.c + i * g.ldc, g.n, 0.0F);
}

void openblas_gemm([[maybe_unused]] const Gemm& g, [[maybe_unused]] const Workspace& ws) {
#ifdef FDI_HAVE_OPENBLAS
  CHECK(g.a.patches == nullptr);  // conv.cc writes the im2col matrix for this provider
  // Within a parallel region OpenBLAS takes one thread by itself, and a new number would free the buffers that the
  // other threads' products are using.
  if (omp_in_parallel() == 0) openblas().set_num_threads(ws.threads);
  const Operand b = g.b.packed ? Operand{g.b.data, g.n} : g.b;  // pack_b() only copies for OpenBLAS
  openblas().sgemm(CblasRowMajor, g.a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
                   static_cast<int>(g.m), static_cast<int>(g.n), static_cast<int>(g.k), 1.0F, g.a.data,
                   static_cast<int>(g.a.ld), b.data, static_cast<int>(b.ld), g.accumulate ? 1.0F : 0.0F, g.c,
                   static_cast<int>(g.ldc));
  finish(g);
#endif
}

}  // namespace

void set_gemm_provider(GemmProvider p) {
#ifdef FDI_HAVE_OPENBLAS
  if (p == GemmProvider::kOpenBlas) openblas();  // loaded here, where it may fail, rather than by the first product
#else
  if (p == GemmProvider::kOpenBlas)
    core::fail("--gemm openblas: this build has no OpenBLAS; install libopenblas-openmp-dev and build again");
#endif
  provider = p;
}

GemmProvider gemm_provider() { return provider; }

size_t gemm_workspace_bytes(const Gemm& call, int threads) {
  isa();  // reads the environment before the first dispatch
  if (provider == GemmProvider::kOpenBlas || call.m <= 0 || call.n <= 0 || call.k <= 0) return 0;
  return native::workspace_bytes(call, threads);
}

void gemm(const Gemm& call, const Workspace& workspace) noexcept {
  if (call.m <= 0 || call.n <= 0) return;
  if (call.k <= 0) {
    clear(call);
    finish(call);
  } else if (provider == GemmProvider::kOpenBlas) {
    openblas_gemm(call, workspace);
  } else {
    native::gemm(call, workspace);
  }
}

int64_t packed_b_floats(int64_t k, int64_t n) {
  isa();
  return provider == GemmProvider::kOpenBlas ? k * n : native::packed_b_floats(k, n);
}

void pack_b(int64_t k, int64_t n, const Operand& b, float* packed) noexcept {
  if (provider == GemmProvider::kNative) return native::pack_b(k, n, b, packed);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j) packed[i * n + j] = b.transposed ? b.data[j * b.ld + i] : b.data[i * b.ld + j];
}

}  // namespace fdi::kernels
