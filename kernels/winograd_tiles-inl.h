// The five transforms of kernels/winograd.cc, each over one tile of an image (or a range of weights) and all its
// channels: image to products, products to image, and their adjoints. Included once per target.
#if defined(FDI_KERNELS_WINOGRAD_TILES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FDI_KERNELS_WINOGRAD_TILES_INL
#undef FDI_KERNELS_WINOGRAD_TILES_INL
#else
#define FDI_KERNELS_WINOGRAD_TILES_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "kernels/gemm.h"
#include "kernels/lanes-inl.h"
#include "kernels/winograd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline int64_t Align(int64_t floats) { return (floats + 15) / 16 * 16; }

// The grid of output tiles of all images.
struct Tiles {
  const ConvGeometry& g;
  int m, rows, columns;
  int64_t count;
  Tiles(const ConvGeometry& geometry, int tile, int batch)
      : g(geometry),
        m(tile),
        rows((g.out_h + m - 1) / m),
        columns((g.out_w + m - 1) / m),
        count(int64_t{batch} * rows * columns) {}
};

struct Tile {
  int64_t image;
  int y, x;  // top left output pixel
};
HWY_INLINE Tile TileAt(const Tiles& t, int64_t index) {
  const int64_t per_image = int64_t{t.rows} * t.columns;
  const int64_t image = index / per_image;
  const int in_image = static_cast<int>(index - image * per_image);
  return {image, in_image / t.columns * t.m, in_image % t.columns * t.m};
}

// A matrix for each of the (m + 2)^2 products. Their distance is an odd number of cache lines, so that writing one
// element of each does not hit a single cache set.
struct Products {
  float* data;
  int64_t distance, ld;
  Products(float* at, int64_t tiles, int64_t channels) : data(at), distance(Distance(tiles, channels)), ld(channels) {}
  static int64_t Distance(int64_t tiles, int64_t channels) { return (Align(tiles * channels) / 16 | 1) * 16; }
};

// V[p][row] = B^T d B of the input tile under output tile `tile`.
template <int M>
void TransformInput(const Tiles& t, const float* x, const float* zeros, int64_t tile, int64_t row, const Products& v) {
  constexpr int N = M + 2;
  const ConvGeometry& g = t.g;
  const Tile at = TileAt(t, tile);
  const float* pixel[N][N];
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) {
      const int iy = at.y + i - g.pad_top, ix = at.x + j - g.pad_left;
      const bool inside = iy >= 0 && iy < g.in_h && ix >= 0 && ix < g.in_w;
      pixel[i][j] = inside ? x + ((at.image * g.in_h + iy) * g.in_w + ix) * g.in_channel : zeros;
    }
  float* const to = v.data + row * v.ld;
  for_lanes(g.in_channel, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V half[N][N];
    HWY_UNROLL(6)
    for (int j = 0; j < N; ++j) {
      V in[N], out[N];
      for (int i = 0; i < N; ++i) in[i] = hn::LoadU(d, pixel[i][j] + c);
      Winograd<M>::Input(in, out);
      for (int i = 0; i < N; ++i) half[i][j] = out[i];
    }
    HWY_UNROLL(6)
    for (int i = 0; i < N; ++i) {
      V out[N];
      Winograd<M>::Input(half[i], out);
      for (int j = 0; j < N; ++j) hn::StoreU(out[j], d, to + (i * N + j) * v.distance + c);
    }
  });
}

// y = A^T M[p][row] A, with bias and ReLU, for the pixels of the tile that exist.
template <int M>
void TransformOutput(const Tiles& t, const Products& m, int64_t tile, int64_t row, const float* bias, bool relu,
                     float* y) {
  constexpr int N = M + 2;
  const ConvGeometry& g = t.g;
  const Tile at = TileAt(t, tile);
  const int rows = std::min(M, g.out_h - at.y), columns = std::min(M, g.out_w - at.x);
  const float* const from = m.data + row * m.ld;
  float* const to = y + ((at.image * g.out_h + at.y) * g.out_w + at.x) * g.out_channel;
  const int64_t line = int64_t{g.out_w} * g.out_channel;
  for_lanes(g.out_channel, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V half[M][N];
    HWY_UNROLL(6)
    for (int j = 0; j < N; ++j) {
      V in[N], out[M];
      for (int i = 0; i < N; ++i) in[i] = hn::LoadU(d, from + (i * N + j) * m.distance + c);
      Winograd<M>::Output(in, out);
      for (int i = 0; i < M; ++i) half[i][j] = out[i];
    }
    const V zero = hn::Zero(d);
    const V add = bias != nullptr ? hn::LoadU(d, bias + c) : zero;
    HWY_UNROLL(4)
    for (int i = 0; i < M; ++i) {
      if (i >= rows) break;
      V out[M];
      Winograd<M>::Output(half[i], out);
      for (int j = 0; j < M; ++j) {
        if (j >= columns) break;
        const V value = hn::Add(out[j], add);
        hn::StoreU(relu ? at_least(d, zero, value) : value, d, to + i * line + int64_t{j} * g.out_channel + c);
      }
    }
  });
}

// dM[p][row] = A dy A^T of one output tile: the adjoint of TransformOutput.
template <int M>
void TransformOutputGradient(const Tiles& t, const float* dy, const float* zeros, int64_t tile, int64_t row,
                             const Products& m) {
  constexpr int N = M + 2;
  const ConvGeometry& g = t.g;
  const Tile at = TileAt(t, tile);
  const float* pixel[M][M];
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < M; ++j) {
      const int oy = at.y + i, ox = at.x + j;
      const bool inside = oy < g.out_h && ox < g.out_w;
      pixel[i][j] = inside ? dy + ((at.image * g.out_h + oy) * g.out_w + ox) * g.out_channel : zeros;
    }
  float* const to = m.data + row * m.ld;
  for_lanes(g.out_channel, [&](auto d, int64_t c) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V half[N][M];
    HWY_UNROLL(4)
    for (int j = 0; j < M; ++j) {
      V in[M], out[N];
      for (int i = 0; i < M; ++i) in[i] = hn::LoadU(d, pixel[i][j] + c);
      Winograd<M>::OutputAdjoint(in, out);
      for (int i = 0; i < N; ++i) half[i][j] = out[i];
    }
    HWY_UNROLL(6)
    for (int i = 0; i < N; ++i) {
      V out[N];
      Winograd<M>::OutputAdjoint(half[i], out);
      for (int j = 0; j < N; ++j) hn::StoreU(out[j], d, to + (i * N + j) * m.distance + c);
    }
  });
}

// U[p][i] = G g G^T for elements [begin, end) of nine equally packed tap matrices, `size` floats apart.
template <int M>
void TransformWeight(const float* taps, int64_t size, int64_t begin, int64_t end, float* u) {
  constexpr int N = M + 2;
  for_lanes(end - begin, [&](auto d, int64_t offset) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    const int64_t e = begin + offset;
    V half[N][3];
    for (int j = 0; j < 3; ++j) {
      V in[3], out[N];
      for (int i = 0; i < 3; ++i) in[i] = hn::LoadU(d, taps + (i * 3 + j) * size + e);
      Winograd<M>::Weight(d, in, out);
      for (int i = 0; i < N; ++i) half[i][j] = out[i];
    }
    for (int i = 0; i < N; ++i) {
      V out[N];
      Winograd<M>::Weight(d, half[i], out);
      for (int j = 0; j < N; ++j) hn::StoreU(out[j], d, u + (i * N + j) * size + e);
    }
  });
}

// dweight[tap][i] = G^T dU G for elements [begin, end).
template <int M>
void TransformWeightGradient(const float* du, int64_t distance, int64_t size, int64_t begin, int64_t end,
                             float* dweight) {
  constexpr int N = M + 2;
  for_lanes(end - begin, [&](auto d, int64_t offset) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    const int64_t e = begin + offset;
    V half[3][N];
    for (int j = 0; j < N; ++j) {
      V in[N], out[3];
      for (int i = 0; i < N; ++i) in[i] = hn::LoadU(d, du + (i * N + j) * distance + e);
      Winograd<M>::WeightAdjoint(d, in, out);
      for (int i = 0; i < 3; ++i) half[i][j] = out[i];
    }
    for (int i = 0; i < 3; ++i) {
      V out[3];
      Winograd<M>::WeightAdjoint(d, half[i], out);
      for (int j = 0; j < 3; ++j) hn::StoreU(out[j], d, dweight + (i * 3 + j) * size + e);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();
#endif
