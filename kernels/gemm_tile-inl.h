// The register tile of GEMM: R rows of C by NV vectors, kept in registers over the whole K block. Included once per
// target by gemm.cc. kTileRows x kTileVectors are chosen so that accumulators, one row of B and a broadcast fill the
// register file: 14x2 with 32 registers (28 + 2 + 1), 6x2 with 16 (12 + 2 + 1).
#if defined(FDI_KERNELS_GEMM_TILE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FDI_KERNELS_GEMM_TILE_INL
#undef FDI_KERNELS_GEMM_TILE_INL
#else
#define FDI_KERNELS_GEMM_TILE_INL
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <array>
#include <utility>

#include "kernels/gemm.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using Vec = hn::Vec<D>;
constexpr int64_t kLanes = HWY_TARGET == HWY_SCALAR ? 1 : HWY_MAX_BYTES / sizeof(float);
#if HWY_TARGET == HWY_AVX3 || (HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64)
constexpr int kTileRows = 14;
#else
constexpr int kTileRows = 6;
#endif
constexpr int kTileVectors = 2;
constexpr int64_t kTileColumns = kTileVectors * kLanes;
constexpr int64_t kPrefetchFrom = 64;  // below this K, fetching C ahead costs more than it hides

// What happens to a tile on its way to memory, and what to fetch meanwhile.
struct WriteBack {
  float* c;
  int64_t ldc;
  int64_t columns;    // valid ones, at most NV * kLanes
  bool accumulate;    // add to what C holds
  const float* bias;  // of this tile's columns, or null
  bool relu;
  const float* next_a;  // the rows that the next tile reads in place, next_ld apart; or null
  int64_t next_ld;
  int64_t next_b;  // floats from a row of this panel of B to what will be needed later
};

// Where the tile finds A: packed panels, element (r, k) at data[k * kTileRows + r], or the rows themselves, at
// data[r * ld + k]. Rows that are read in place use five pointers and x86's scaled index, 0 1 2 4 8 from each, so that
// 14 addresses need 6 registers.
struct PackedRows {
  const float* data;
  HWY_INLINE float At(int r, int k) const { return data[k * kTileRows + r]; }
  HWY_INLINE void Advance(int64_t k) { data += k * kTileRows; }
};

struct RowsInPlace {
  const float *row0, *row3, *row6, *row9, *row12;
  int64_t ld;
  RowsInPlace(const float* data, int64_t stride)
      : row0(data),
        row3(data + 3 * stride),
        row6(data + 6 * stride),
        row9(data + 9 * stride),
        row12(data + 12 * stride),
        ld(stride) {}
  HWY_INLINE float At(int r, int k) const {
    switch (r) {
      case 0:
        return row0[k];
      case 1:
        return row0[ld + k];
      case 2:
        return row0[2 * ld + k];
      case 3:
        return row3[k];
      case 4:
        return row0[4 * ld + k];
      case 5:
        return row3[2 * ld + k];
      case 6:
        return row6[k];
      case 7:
        return row6[ld + k];
      case 8:
        return row6[2 * ld + k];
      case 9:
        return row9[k];
      case 10:
        return row9[ld + k];
      case 11:
        return row9[2 * ld + k];
      case 12:
        return row12[k];
      default:
        return row12[ld + k];
    }
  }
  HWY_INLINE void Advance(int64_t k) { row0 += k, row3 += k, row6 += k, row9 += k, row12 += k; }
};

// c (R, columns) = a (R, k) * b (k rows, ldb apart). With few accumulators the multiply-add latency would show, so K is
// split over U independent sets of them.
template <int R, int NV, int U, class A>
HWY_INLINE void Tile(int64_t k, A a, const float* HWY_RESTRICT b, int64_t ldb, const WriteBack& out) {
  const D d;
  Vec acc[U][R][NV];
  HWY_UNROLL(8)
  for (int u = 0; u < U; ++u) {
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < NV; ++v) acc[u][r][v] = hn::Zero(d);
    }
  }
  if (k >= kPrefetchFrom) {
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < NV; ++v) hwy::Prefetch(out.c + r * out.ldc + v * kLanes);
  }
  static_assert(4 % U == 0);
  constexpr int kStep = 4;  // k per turn of the loop: less counting
  int64_t i = 0;
  for (; i + kStep <= k; i += kStep) {
    if (out.next_a != nullptr) {
      const float* next = out.next_a + (i / kStep % 4) * 4 * out.next_ld + i;
      for (int r = 0; r < 4; ++r) hwy::Prefetch(next + r * out.next_ld);
    }
    HWY_UNROLL(8)
    for (int s = 0; s < kStep; ++s) {
      Vec bv[NV];
      HWY_UNROLL(2)
      for (int v = 0; v < NV; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
      for (int v = 0; v < NV; ++v) hwy::Prefetch(b + out.next_b + v * kLanes);
      b += ldb;
      HWY_UNROLL(16)
      for (int r = 0; r < R; ++r) {
        const Vec ar = hn::Set(d, a.At(r, s));
        HWY_UNROLL(2)
        for (int v = 0; v < NV; ++v) acc[s % U][r][v] = hn::MulAdd(ar, bv[v], acc[s % U][r][v]);
      }
    }
    a.Advance(kStep);
  }
  for (; i < k; ++i) {
    Vec bv[NV];
    HWY_UNROLL(2)
    for (int v = 0; v < NV; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
    b += ldb;
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      const Vec ar = hn::Set(d, a.At(r, 0));
      HWY_UNROLL(2)
      for (int v = 0; v < NV; ++v) acc[0][r][v] = hn::MulAdd(ar, bv[v], acc[0][r][v]);
    }
    a.Advance(1);
  }
  for (int u = 1; u < U; ++u)
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < NV; ++v) acc[0][r][v] = hn::Add(acc[0][r][v], acc[u][r][v]);

  const Vec zero = hn::Zero(d);
  if (HWY_LIKELY(out.columns == NV * kLanes)) {
    if (out.bias != nullptr) {
      HWY_UNROLL(2)
      for (int v = 0; v < NV; ++v) {
        const Vec bias = hn::LoadU(d, out.bias + v * kLanes);
        HWY_UNROLL(16)
        for (int r = 0; r < R; ++r) acc[0][r][v] = hn::Add(acc[0][r][v], bias);
      }
    }
    if (out.accumulate) {
      HWY_UNROLL(16)
      for (int r = 0; r < R; ++r) {
        HWY_UNROLL(2)
        for (int v = 0; v < NV; ++v)
          acc[0][r][v] = hn::Add(acc[0][r][v], hn::LoadU(d, out.c + r * out.ldc + v * kLanes));
      }
    }
    if (out.relu) {
      HWY_UNROLL(16)
      for (int r = 0; r < R; ++r) {
        HWY_UNROLL(2)
        for (int v = 0; v < NV; ++v) acc[0][r][v] = at_least(d, zero, acc[0][r][v]);
      }
    }
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < NV; ++v) hn::StoreU(acc[0][r][v], d, out.c + r * out.ldc + v * kLanes);
    }
    return;
  }
  // Edge: through a buffer, since a masked store may touch its neighbours on targets without masks.
  HWY_ALIGN float row[NV * kLanes];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < NV; ++v) hn::Store(acc[0][r][v], d, row + v * kLanes);
    float* c = out.c + r * out.ldc;
    for (int64_t j = 0; j < out.columns; ++j) {
      float y = row[j] + (out.bias != nullptr ? out.bias[j] : 0.0F);
      if (out.accumulate) y += c[j];
      c[j] = out.relu && y < 0.0F ? 0.0F : y;
    }
  }
}

// The tile for `rows` and `vectors` known at run time only. lda 0: A is a packed panel.
using TileFunction = void (*)(int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, const WriteBack&);

template <int R, int NV, bool kInPlace>
void TileOf(int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, const WriteBack& out) {
  constexpr int kAccumulators = R * NV;
  constexpr int kUnroll = kAccumulators >= 8 ? 1 : kAccumulators >= 4 ? 2 : 4;
  if constexpr (kInPlace)
    Tile<R, NV, kUnroll>(k, RowsInPlace(a, lda), b, ldb, out);
  else
    Tile<R, NV, kUnroll>(k, PackedRows{a}, b, ldb, out);
}

template <int NV, bool kInPlace, int... R>
constexpr std::array<TileFunction, sizeof...(R)> TileTable(std::integer_sequence<int, R...>) {
  return {{&TileOf<R + 1, NV, kInPlace>...}};
}

// rows 1..kTileRows, vectors 1..kTileVectors
HWY_INLINE TileFunction GetTile(int rows, int vectors, bool in_place) {
  constexpr auto kRows = std::make_integer_sequence<int, kTileRows>();
  static constexpr std::array<TileFunction, kTileRows> kTables[2][2] = {
      {TileTable<1, false>(kRows), TileTable<1, true>(kRows)}, {TileTable<2, false>(kRows), TileTable<2, true>(kRows)}};
  return kTables[vectors - 1][in_place][rows - 1];
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();
#endif
