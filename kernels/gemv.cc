// See gemv.h. All columns that fit the registers are summed in one walk over the rows of w, which is read once.
#include "kernels/gemv.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemv.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

// y[at + ...] for kVectors vectors of columns; the last of them starts at `last` (it may overlap the one before, and
// then computes the same numbers again: no column is left over).
template <int kVectors, class D>
void gemv_columns(D d, int64_t k, const float* x, const float* w, int64_t ldw, const float* bias, float* y, int64_t at,
                  int64_t last) {
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[kVectors];
  int64_t column[kVectors];
#pragma GCC unroll 12
  for (int v = 0; v < kVectors; ++v) {
    column[v] = std::min(at + v * step, last);
    sum[v] = bias == nullptr ? hn::Zero(d) : hn::LoadU(d, bias + column[v]);
  }
  const int64_t tail = column[kVectors - 1];
  for (int64_t i = 0; i < k; ++i, w += ldw) {
    const auto xi = hn::Set(d, x[i]);
    const float* row = w + at;
#pragma GCC unroll 12
    for (int v = 0; v + 1 < kVectors; ++v) sum[v] = hn::MulAdd(xi, hn::LoadU(d, row + v * step), sum[v]);
    sum[kVectors - 1] = hn::MulAdd(xi, hn::LoadU(d, w + tail), sum[kVectors - 1]);
  }
#pragma GCC unroll 12
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[v], d, y + column[v]);
}

constexpr int kMaxVectors = 12;  // accumulators: enough to hide the latency of FMA, and AVX2 has 16 registers

template <int kVectors, class D>
void gemv_choose(int vectors, D d, int64_t k, const float* x, const float* w, int64_t ldw, const float* bias, float* y,
                 int64_t at, int64_t last) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) return gemv_choose<kVectors - 1>(vectors, d, k, x, w, ldw, bias, y, at, last);
  }
  gemv_columns<kVectors>(d, k, x, w, ldw, bias, y, at, last);
}

void gemv_kernel(int64_t k, int64_t n, const float* x, const float* w, int64_t ldw, const float* bias, float* y) {
  const hn::ScalableTag<float> d;
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  if (n < step) {
    for_lanes(n, [=](auto narrow, int64_t c) HWY_ATTR { gemv_columns<1>(narrow, k, x, w, ldw, bias, y, c, c); });
    return;
  }
  const int64_t vectors = (n + step - 1) / step, groups = (vectors + kMaxVectors - 1) / kMaxVectors;
  for (int64_t group = 0; group < groups; ++group) {  // 23 vectors: 11 and 12, not 12, 8, 2 and 1
    const int64_t first = vectors * group / groups, end = vectors * (group + 1) / groups;
    gemv_choose<kMaxVectors>(static_cast<int>(end - first), d, k, x, w, ldw, bias, y, first * step, n - step);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels {

HWY_EXPORT(gemv_kernel);

void gemv(int64_t k, int64_t n, const float* x, const float* w, int64_t ldw, const float* bias, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(gemv_kernel)(k, n, x, w, ldw, bias, y);
}

}  // namespace fdi::kernels
#endif
