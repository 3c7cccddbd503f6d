// Packing for GEMM: copies a block of an operand into panels of `P` rows, panel[k * P + r], the order in which the tile
// reads it. Operands stored along k are transposed on the way, 4 x 4 at a time; operands stored across k are copied.
// Image patches are read through their index, so the im2col matrix is never written. Included once per target by
// gemm.cc.
#if defined(FDI_KERNELS_GEMM_PACK_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FDI_KERNELS_GEMM_PACK_INL
#undef FDI_KERNELS_GEMM_PACK_INL
#else
#define FDI_KERNELS_GEMM_PACK_INL
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/gemm.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Transposes `rows` <= P rows of `count` floats into panel[k * P + r]. Groups of four rows are stored as whole
// 4-vectors, highest group first, so that what a group writes past P is overwritten by the next k; the last k of a
// block may write up to 3 floats past the panel, which is why panels are followed by kPanelSlack floats.
constexpr int64_t kPanelSlack = 16;

template <int P>
HWY_INLINE void TransposeRows(const float* const* HWY_RESTRICT row, int rows, int64_t count,
                              float* HWY_RESTRICT panel) {
  int64_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<float, 4> d4;
#if HWY_ARCH_ARM_V7  // has no vectors of double
  using Pair = uint64_t;
#else
  using Pair = double;
#endif
  const hn::Repartition<Pair, decltype(d4)> d2;
  const int groups = (rows + 3) / 4;
  while (k + 4 <= count) {
    // A cache line of each row at a time, four rows at a time: rows a power of two apart share one cache set.
    const int64_t stop = std::min(k + 16, count - 3);
    for (int g = groups - 1; g >= 0; --g) {
      const float* const* r = row + 4 * g;
      const int last = rows - 4 * g - 1;  // a short group repeats its last row; the copies land where nobody reads
      const float *p0 = r[0], *p1 = r[std::min(last, 1)], *p2 = r[std::min(last, 2)], *p3 = r[std::min(last, 3)];
      float* HWY_RESTRICT to = panel + k * P + 4 * g;
      for (int64_t i = k; i < stop; i += 4, to += 4 * P) {
        const auto r0 = hn::LoadU(d4, p0 + i), r1 = hn::LoadU(d4, p1 + i);
        const auto r2 = hn::LoadU(d4, p2 + i), r3 = hn::LoadU(d4, p3 + i);
        const auto a = hn::BitCast(d2, hn::InterleaveLower(d4, r0, r1));
        const auto b = hn::BitCast(d2, hn::InterleaveUpper(d4, r0, r1));
        const auto c = hn::BitCast(d2, hn::InterleaveLower(d4, r2, r3));
        const auto e = hn::BitCast(d2, hn::InterleaveUpper(d4, r2, r3));
        hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, a, c)), d4, to);
        hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, a, c)), d4, to + P);
        hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, b, e)), d4, to + 2 * P);
        hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, b, e)), d4, to + 3 * P);
      }
    }
    k = k + (stop - k + 3) / 4 * 4;
  }
#endif
  for (; k < count; ++k)
    for (int r = 0; r < rows; ++r) panel[k * P + r] = row[r][k];
}

constexpr int64_t kRowsAhead = 48;  // strided rows escape the hardware's prefetcher

// Copies `count` rows of `width` <= P floats, `ld` apart, and pads with zeros to P.
template <int P>
HWY_INLINE void CopyRows(const float* HWY_RESTRICT from, int64_t ld, int width, int64_t count,
                         float* HWY_RESTRICT panel) {
  if (width == P) {
    for (int64_t k = 0; k < count; ++k) {
      for (int line = 0; line < P; line += 16) hwy::Prefetch(from + (k + kRowsAhead) * ld + line);
      std::memcpy(panel + k * P, from + k * ld, P * sizeof(float));
    }
    return;
  }
  for (int64_t k = 0; k < count; ++k) {
    std::copy_n(from + k * ld, width, panel + k * P);
    std::fill_n(panel + k * P + width, P - width, 0.0F);
  }
}

// A matrix block: panel rows [i0, i0 + rows), k in [k0, k0 + count).
template <int P>
void PackMatrix(const Operand& x, bool along_k, int64_t i0, int rows, int64_t k0, int64_t count, float* panel) {
  if (!along_k) return CopyRows<P>(x.data + k0 * x.ld + i0, x.ld, rows, count, panel);
  const int64_t group = x.group > 0 ? x.group : k0 + count;
  for (int64_t k = k0; k < k0 + count;) {
    const int64_t begin = k % group, length = std::min(group - begin, k0 + count - k);
    const float* row[P];
    for (int r = 0; r < P; ++r)
      row[r] = x.data + k / group * x.group_stride + (i0 + std::min(r, rows - 1)) * x.ld + begin;
    TransposeRows<P>(row, rows, length, panel);
    panel += length * P;
    k += length;
  }
}

// One output pixel of a patch matrix.
struct PatchRow {
  const float* image;
  int y, x;  // of the patch's top left corner; may lie outside
};

HWY_INLINE PatchRow PatchRowAt(const ConvGeometry& g, const float* images, int64_t pixel) {
  const int64_t per_image = int64_t{g.out_h} * g.out_w;
  const int64_t image = pixel / per_image;
  const int in_image = static_cast<int>(pixel - image * per_image);
  const int oy = in_image / g.out_w, ox = in_image - oy * g.out_w;
  return {images + image * g.in_size(), oy * g.stride_h - g.pad_top, ox * g.stride_w - g.pad_left};
}

HWY_INLINE void NextPatchRow(const ConvGeometry& g, PatchRow& p) {
  p.x += g.stride_w;
  if (p.x < g.out_w * g.stride_w - g.pad_left) return;
  p.x = -g.pad_left;
  p.y += g.stride_h;
  if (p.y < g.out_h * g.stride_h - g.pad_top) return;
  p.y = -g.pad_top;
  p.image += g.in_size();
}

// The kernel_w * in_channel floats that kernel row `ky` of a patch covers are contiguous in an NHWC image. Returns
// where they lie, or a copy in `border` with zeros for what is outside.
HWY_INLINE const float* PatchRun(const ConvGeometry& g, const PatchRow& p, int ky, const float* zeros, float* border) {
  const int y = p.y + ky;
  if (y < 0 || y >= g.in_h) return zeros;
  const float* line = p.image + int64_t{y} * g.in_w * g.in_channel;
  if (p.x >= 0 && p.x + g.kernel_w <= g.in_w) return line + int64_t{p.x} * g.in_channel;
  const int first = std::clamp(-p.x, 0, g.kernel_w);
  const int last = std::clamp(g.in_w - p.x, first, g.kernel_w);
  const int64_t c = g.in_channel;
  std::fill_n(border, first * c, 0.0F);
  if (last > first) std::copy_n(line + (p.x + first) * c, (last - first) * c, border + first * c);
  std::fill_n(border + last * c, (g.kernel_w - last) * c, 0.0F);
  return border;
}

// Short runs (kernel_w * 3 channels) make up the first layer: no call, no loop for what is left over.
HWY_INLINE void CopyFloats(const float* HWY_RESTRICT from, int64_t count, float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (count >= lanes) {
    for (int64_t i = 0; i + lanes <= count; i += lanes) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
    return hn::StoreU(hn::LoadU(d, from + count - lanes), d, to + count - lanes);
  }
  const hn::CappedTag<float, 4> d4;
  const auto step = static_cast<int64_t>(hn::Lanes(d4));
  int64_t i = 0;
  for (; i + step <= count; i += step) hn::StoreU(hn::LoadU(d4, from + i), d4, to + i);
  for (; i < count; ++i) to[i] = from[i];
}

// Patch columns [k0, k0 + count) of one pixel.
HWY_INLINE void CopyPatch(const ConvGeometry& g, const PatchRow& p, int64_t k0, int64_t count, float* to) {
  const int64_t c = g.in_channel, run = g.kernel_w * c;
  const int64_t inside_begin = std::clamp(-p.x, 0, g.kernel_w) * c,
                inside_end = std::clamp(g.in_w - p.x, 0, g.kernel_w) * c;
  for (int64_t ky = k0 / run, begin = k0 - ky * run; count > 0; ++ky, begin = 0) {
    const int64_t end = std::min(run, begin + count);
    const int y = p.y + static_cast<int>(ky);
    const bool outside = y < 0 || y >= g.in_h;
    const int64_t first = outside ? end : std::clamp(inside_begin, begin, end);
    const int64_t last = outside ? end : std::clamp(inside_end, first, end);
    if (first > begin) std::fill_n(to, first - begin, 0.0F);
    if (last > first) CopyFloats(p.image + (int64_t{y} * g.in_w + p.x) * c + first, last - first, to + (first - begin));
    if (end > last) std::fill_n(to + (last - begin), end - last, 0.0F);
    to += end - begin;
    count -= end - begin;
  }
}

// Rows of pixels [i0, i0 + rows), patch columns [k0, k0 + count), `ld` floats apart: the im2col matrix of one tile,
// which never leaves L1.
inline void CopyPatches(const ConvGeometry& g, const float* images, int64_t i0, int rows, int64_t k0, int64_t count,
                        int64_t ld, float* to) {
  PatchRow pixel = PatchRowAt(g, images, i0);
  for (int r = 0; r < rows; ++r, NextPatchRow(g, pixel)) CopyPatch(g, pixel, k0, count, to + r * ld);
}

// The transpose, as a panel: its rows are patch columns [i0, i0 + rows), k runs over pixels [k0, k0 + count).
// `scratch`: two runs of floats, of which the first is zero.
template <int P>
void PackPatchesTransposed(const ConvGeometry& g, const float* images, int64_t i0, int rows, int64_t k0, int64_t count,
                           float* scratch, float* panel) {
  const int64_t run = int64_t{g.kernel_w} * g.in_channel;
  for (int64_t i = i0; i < i0 + rows;) {
    const int64_t ky = i / run, begin = i - ky * run;
    const int length = static_cast<int>(std::min(run - begin, i0 + rows - i));
    float* to = panel + (i - i0);
    PatchRow pixel = PatchRowAt(g, images, k0);
    if (length == P) {
      for (int64_t k = 0; k < count; ++k, NextPatchRow(g, pixel))
        std::memcpy(to + k * P, PatchRun(g, pixel, static_cast<int>(ky), scratch, scratch + run) + begin,
                    P * sizeof(float));
    } else {
      for (int64_t k = 0; k < count; ++k, NextPatchRow(g, pixel))
        std::copy_n(PatchRun(g, pixel, static_cast<int>(ky), scratch, scratch + run) + begin, length, to + k * P);
    }
    i += length;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();
#endif
