// The small matrices of Winograd's minimal filtering F(m x m, 3 x 3) (Lavin & Gray 2016, section 4), as sums of
// vectors: an input tile of (m + 2)^2 pixels becomes as many products, of which m x m outputs are made. Points 0, 1, -1
// for m = 2, and 2, -2 besides for m = 4. Included once per target by winograd.cc.
#if defined(FDI_KERNELS_WINOGRAD_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FDI_KERNELS_WINOGRAD_INL
#undef FDI_KERNELS_WINOGRAD_INL
#else
#define FDI_KERNELS_WINOGRAD_INL
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One dimension of each transform; V is a vector of channels. Names follow the paper: Y = A^T [(G g G^T) . (B^T d B)]
// A.
template <int M>
struct Winograd;

template <>
struct Winograd<2> {
  template <class V>
  static HWY_INLINE void Input(const V* d, V* v) {  // B^T (4 x 4)
    v[0] = hn::Sub(d[0], d[2]);
    v[1] = hn::Add(d[1], d[2]);
    v[2] = hn::Sub(d[2], d[1]);
    v[3] = hn::Sub(d[1], d[3]);
  }
  template <class V>
  static HWY_INLINE void Output(const V* m, V* y) {  // A^T (2 x 4)
    y[0] = hn::Add(m[0], hn::Add(m[1], m[2]));
    y[1] = hn::Sub(hn::Sub(m[1], m[2]), m[3]);
  }
  template <class V>
  static HWY_INLINE void OutputAdjoint(const V* y, V* m) {  // A (4 x 2)
    m[0] = y[0];
    m[1] = hn::Add(y[0], y[1]);
    m[2] = hn::Sub(y[0], y[1]);
    m[3] = hn::Neg(y[1]);
  }
  template <class D, class V>
  static HWY_INLINE void Weight(D d, const V* g, V* u) {  // G (4 x 3)
    const V half = hn::Set(d, 0.5F);
    const V even = hn::Mul(half, hn::Add(g[0], g[2])), odd = hn::Mul(half, g[1]);
    u[0] = g[0];
    u[1] = hn::Add(even, odd);
    u[2] = hn::Sub(even, odd);
    u[3] = g[2];
  }
  template <class D, class V>
  static HWY_INLINE void WeightAdjoint(D d, const V* u, V* g) {  // G^T (3 x 4)
    const V half = hn::Set(d, 0.5F);
    const V even = hn::Mul(half, hn::Add(u[1], u[2]));
    g[0] = hn::Add(u[0], even);
    g[1] = hn::Mul(half, hn::Sub(u[1], u[2]));
    g[2] = hn::Add(u[3], even);
  }
};

template <>
struct Winograd<4> {
  template <class V>
  static HWY_INLINE void Input(const V* d, V* v) {  // B^T (6 x 6)
    const hn::DFromV<V> t;
    const V two = hn::Set(t, 2.0F), four = hn::Set(t, 4.0F), five = hn::Set(t, 5.0F);
    const V a = hn::NegMulAdd(four, d[2], d[4]);  // d4 - 4 d2
    const V b = hn::NegMulAdd(four, d[1], d[3]);  // d3 - 4 d1
    const V c = hn::Sub(d[4], d[2]);
    const V e = hn::Mul(two, hn::Sub(d[3], d[1]));
    v[0] = hn::MulAdd(four, d[0], hn::NegMulAdd(five, d[2], d[4]));
    v[1] = hn::Add(a, b);
    v[2] = hn::Sub(a, b);
    v[3] = hn::Add(c, e);
    v[4] = hn::Sub(c, e);
    v[5] = hn::MulAdd(four, d[1], hn::NegMulAdd(five, d[3], d[5]));
  }
  template <class V>
  static HWY_INLINE void Output(const V* m, V* y) {  // A^T (4 x 6)
    const hn::DFromV<V> t;
    const V two = hn::Set(t, 2.0F), four = hn::Set(t, 4.0F), eight = hn::Set(t, 8.0F);
    const V a = hn::Add(m[1], m[2]), b = hn::Sub(m[1], m[2]);
    const V c = hn::Add(m[3], m[4]), e = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(m[0], hn::Add(a, c));
    y[1] = hn::MulAdd(two, e, b);
    y[2] = hn::MulAdd(four, c, a);
    y[3] = hn::Add(m[5], hn::MulAdd(eight, e, b));
  }
  template <class V>
  static HWY_INLINE void OutputAdjoint(const V* y, V* m) {  // A (6 x 4)
    const hn::DFromV<V> t;
    const V two = hn::Set(t, 2.0F), four = hn::Set(t, 4.0F), eight = hn::Set(t, 8.0F);
    const V even = hn::Add(y[0], y[2]), odd = hn::Add(y[1], y[3]);
    const V even2 = hn::MulAdd(four, y[2], y[0]), odd2 = hn::MulAdd(eight, y[3], hn::Mul(two, y[1]));
    m[0] = y[0];
    m[1] = hn::Add(even, odd);
    m[2] = hn::Sub(even, odd);
    m[3] = hn::Add(even2, odd2);
    m[4] = hn::Sub(even2, odd2);
    m[5] = y[3];
  }
  template <class D, class V>
  static HWY_INLINE void Weight(D d, const V* g, V* u) {  // G (6 x 3)
    const V even = hn::Mul(hn::Set(d, -1.0F / 6), hn::Add(g[0], g[2])), odd = hn::Mul(hn::Set(d, -1.0F / 6), g[1]);
    const V even2 = hn::MulAdd(hn::Set(d, 1.0F / 24), g[0], hn::Mul(hn::Set(d, 1.0F / 6), g[2]));
    const V odd2 = hn::Mul(hn::Set(d, 1.0F / 12), g[1]);
    u[0] = hn::Mul(hn::Set(d, 0.25F), g[0]);
    u[1] = hn::Add(even, odd);
    u[2] = hn::Sub(even, odd);
    u[3] = hn::Add(even2, odd2);
    u[4] = hn::Sub(even2, odd2);
    u[5] = g[2];
  }
  template <class D, class V>
  static HWY_INLINE void WeightAdjoint(D d, const V* u, V* g) {  // G^T (3 x 6)
    const V sixth = hn::Set(d, -1.0F / 6);
    const V a = hn::Mul(sixth, hn::Add(u[1], u[2])), b = hn::Add(u[3], u[4]);
    g[0] = hn::Add(hn::MulAdd(hn::Set(d, 0.25F), u[0], a), hn::Mul(hn::Set(d, 1.0F / 24), b));
    g[1] = hn::MulAdd(sixth, hn::Sub(u[1], u[2]), hn::Mul(hn::Set(d, 1.0F / 12), hn::Sub(u[3], u[4])));
    g[2] = hn::Add(u[5], hn::MulAdd(hn::Set(d, 1.0F / 6), b, a));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();
#endif
