// One row times packed B: what fully connected and recurrent layers of a batch of one spend their time on. Each element
// of B is used once, so the panels are read from end to end, in the order of memory: from the second-level cache at
// 1.3 to 2 times the speed of walking over the rows of a matrix that is wider than a page. Nothing is fetched ahead: a
// processor sees such a stream by itself. Included once per target by gemm_native.cc.
#if defined(FDI_KERNELS_GEMM_ROW_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FDI_KERNELS_GEMM_ROW_INL
#undef FDI_KERNELS_GEMM_ROW_INL
#else
#define FDI_KERNELS_GEMM_ROW_INL
#endif

#include <algorithm>

#include "kernels/gemm_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

// c (columns) = a (k) * panel of NV vectors. Four sums take turns for each vector: one would wait for itself.
template <int NV>
void RowPanel(const Gemm& g, const float* HWY_RESTRICT b, int64_t begin) {
  const D d;
  constexpr int kSums = 4;
  Vec sum[kSums][NV];
  HWY_UNROLL(4)
  for (int s = 0; s < kSums; ++s) {
    HWY_UNROLL(2)
    for (int v = 0; v < NV; ++v) sum[s][v] = hn::Zero(d);
  }
  const float* a = g.a.data;
  int64_t i = 0;
  for (; i + kSums <= g.k; i += kSums) {
    HWY_UNROLL(4)
    for (int s = 0; s < kSums; ++s) {
      const Vec ai = hn::Set(d, a[i + s]);
      HWY_UNROLL(2)
      for (int v = 0; v < NV; ++v) sum[s][v] = hn::MulAdd(ai, hn::LoadU(d, b + (s * NV + v) * kLanes), sum[s][v]);
    }
    b += int64_t{kSums} * NV * kLanes;
  }
  for (; i < g.k; ++i, b += NV * kLanes) {
    HWY_UNROLL(2)
    for (int v = 0; v < NV; ++v) sum[0][v] = hn::MulAdd(hn::Set(d, a[i]), hn::LoadU(d, b + v * kLanes), sum[0][v]);
  }
  const int64_t columns = std::min<int64_t>(NV * kLanes, g.n - begin);
  float* const c = g.c + begin;
  const float* const bias = g.bias == nullptr ? nullptr : g.bias + begin;
  const auto finish = [&](float* to, const float* plus, const float* old) HWY_ATTR {
    HWY_UNROLL(2)
    for (int v = 0; v < NV; ++v) {
      Vec y = hn::Add(hn::Add(sum[0][v], sum[1][v]), hn::Add(sum[2][v], sum[3][v]));
      if (plus != nullptr) y = hn::Add(y, hn::LoadU(d, plus + v * kLanes));
      if (old != nullptr) y = hn::Add(y, hn::LoadU(d, old + v * kLanes));
      if (g.activation == Activation::kRelu) y = at_least(d, hn::Zero(d), y);
      hn::StoreU(y, d, to + v * kLanes);
    }
  };
  if (HWY_LIKELY(columns == NV * kLanes)) return finish(c, bias, g.accumulate ? c : nullptr);
  // Through buffers, since what lies behind the last column is neither to be read nor written.
  HWY_ALIGN float to[NV * kLanes], plus[NV * kLanes] = {}, old[NV * kLanes] = {};
  if (bias != nullptr) std::copy_n(bias, columns, plus);
  if (g.accumulate) std::copy_n(c, columns, old);
  finish(to, bias != nullptr ? plus : nullptr, g.accumulate ? old : nullptr);
  std::copy_n(to, columns, c);
}

bool IsRow(const Gemm& g) { return g.m == 1 && g.b.packed && !g.a.transposed && g.a.patches == nullptr; }

// Panels [first, end) of C.
void MultiplyRow(const Gemm& g, int64_t first, int64_t end) {
  for (int64_t panel = first; panel < end; ++panel) {
    const int64_t begin = panel * kTileColumns;
    const float* const b = g.b.data + begin * g.k;
    if (g.n - begin > kLanes)
      RowPanel<kTileVectors>(g, b, begin);
    else
      RowPanel<1>(g, b, begin);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();
#endif
