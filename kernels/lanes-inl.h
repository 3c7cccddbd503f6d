// for_lanes(n, f): walks over n floats in vectors, the rest in halved vectors (8, 4, 2, 1), so that no load reads past
// the end and 63 channels cost 7 steps on AVX-512, not 18. Included once per target by the Highway sources.
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

// max(low, v), but NaN stays NaN on every target, which hn::Max does not promise: a run that diverged must show it.
template <class D, class V>
HWY_INLINE V at_least(D d, V low, V v) {
  return hn::IfThenElse(hn::Lt(v, low), low, v);
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#endif
