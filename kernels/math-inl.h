// exp, sigmoid and tanh on vectors, relative error below 4e-7 (tests/kernels/elementwise_test.cc states it against
// double). NaN stays NaN. Included once per target by the Highway sources.
#include <hwy/highway.h>

#if defined(FDI_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FDI_KERNELS_MATH_INL_H_
#undef FDI_KERNELS_MATH_INL_H_
#else
#define FDI_KERNELS_MATH_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// x = k ln 2 + r with |r| <= ln(2) / 2: writes 2^k and exp(r) - 1, by the Taylor series to r^7 (its rest is 5e-9).
// x must lie in [-87, 88]. Max and Min with x as second operand let a NaN through on x86.
template <class D, class V>
HWY_INLINE void split_exp(D d, V x, V* power, V* expm1_r) {
  const hn::RebindToSigned<D> di;
  x = hn::Min(hn::Set(d, 88.0F), hn::Max(hn::Set(d, -87.0F), x));
  const V k = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504F)));
  // ln 2 in two pieces; the first has 9 bits, so that its product with k is exact.
  V r = hn::NegMulAdd(k, hn::Set(d, 0.693359375F), x);
  r = hn::NegMulAdd(k, hn::Set(d, -2.12194440e-4F), r);
  V p = hn::Set(d, 1.0F / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5F));
  *expm1_r = hn::MulAdd(hn::Mul(p, r), r, r);
  const auto exponent = hn::Add(hn::ConvertTo(di, k), hn::Set(di, 127));
  *power = hn::BitCast(d, hn::ShiftLeft<23>(exponent));
}

template <class D, class V>
HWY_INLINE V exp(D d, V x) {
  V power, m;
  split_exp(d, x, &power, &m);
  return hn::MulAdd(power, m, power);
}

template <class D, class V>
HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, exp(d, hn::Neg(x))));
}

// tanh |x| = -m / (m + 2) with m = exp(-2 |x|) - 1, which keeps its digits near 0.
template <class D, class V>
HWY_INLINE V tanh(D d, V x) {
  V power, m;
  split_exp(d, hn::Mul(hn::Set(d, -2.0F), hn::Abs(x)), &power, &m);
  m = hn::MulAdd(power, m, hn::Sub(power, hn::Set(d, 1.0F)));
  return hn::CopySign(hn::Div(m, hn::Add(m, hn::Set(d, 2.0F))), x);
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#endif
