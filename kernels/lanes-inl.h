// for_lanes(n, f): walks over n floats in vectors, the rest in halved vectors (8, 4, 2, 1), so that no load reads past
// the end and 63 channels cost 7 steps on AVX-512, not 18. for_row(n, f): the same for functions that cost much, the
// rest in one masked vector where the target has masks. Included once per target by the Highway sources.
#include <hwy/highway.h>

#include <cstdint>

#if defined(FDI_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FDI_KERNELS_LANES_INL_H_
#undef FDI_KERNELS_LANES_INL_H_
#else
#define FDI_KERNELS_LANES_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <int kLanes, class F>
HWY_INLINE void for_lanes_from(int64_t i, int64_t n, const F& f) {
  const hn::CappedTag<float, kLanes> d;
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  for (; i + step <= n; i += step) f(d, i);
  if constexpr (kLanes > 1) {
    if (i < n) for_lanes_from<kLanes / 2>(i, n, f);
  }
}

// f(d, i): the tag of the vector, the index of its first float.
template <class F>
HWY_INLINE void for_lanes(int64_t n, const F& f) {
  for_lanes_from<HWY_MAX_BYTES / sizeof(float)>(0, n, f);
}

// A part of a row, one vector: whole or, where the target has masks, the rest of the row.
template <class D>
struct Whole {
  D d;
  int64_t i;
  HWY_INLINE auto load(const float* row) const { return hn::LoadU(d, row + i); }
  template <class V>
  HWY_INLINE void store(V v, float* row) const {
    hn::StoreU(v, d, row + i);
  }
};
template <class D>
struct Rest {
  D d;
  int64_t i;
  size_t count;
  HWY_INLINE auto load(const float* row) const { return hn::MaskedLoad(hn::FirstN(d, count), d, row + i); }
  template <class V>
  HWY_INLINE void store(V v, float* row) const {
    hn::BlendedStore(v, hn::FirstN(d, count), d, row + i);
  }
};

// f(at) for all of a row: at.d is the tag, at.load(row) and at.store(v, row) reach a row of the same length. The rest
// in halved vectors (for_lanes) would pass through long chains of exp and tanh up to four times, which shows in short
// rows; but without masks a store might touch what lies behind the row.
template <class F>
HWY_INLINE void for_row(int64_t n, const F& f) {
#if HWY_TARGET == HWY_AVX3
  const hn::ScalableTag<float> d;
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + step <= n; i += step) f(Whole<decltype(d)>{d, i});
  if (i < n) f(Rest<decltype(d)>{d, i, static_cast<size_t>(n - i)});
#else
  for_lanes(n, [&](auto d, int64_t i) HWY_ATTR { f(Whole<decltype(d)>{d, i}); });
#endif
}

// max(low, v), but NaN stays NaN on every target, which hn::Max does not promise: a run that diverged must show it.
template <class D, class V>
HWY_INLINE V at_least(D d, V low, V v) {
  return hn::IfThenElse(hn::Lt(v, low), low, v);
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#endif
