// See pool.h. Vectors run along the channels, which are contiguous, so a window is a handful of loads per vector.
#include "kernels/pool.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"

#ifndef FDI_KERNELS_POOL_WINDOW_
#define FDI_KERNELS_POOL_WINDOW_
namespace fdi::kernels {
// The pixels [y0, y1) x [x0, x1) of the image under one output pixel.
struct PoolWindow {
  int y0, y1, x0, x1;
  PoolWindow(const ConvGeometry& g, int oy, int ox) {
    const int top = oy * g.stride_h - g.pad_top, left = ox * g.stride_w - g.pad_left;
    y0 = std::max(top, 0), y1 = std::min(top + g.kernel_h, g.in_h);
    x0 = std::max(left, 0), x1 = std::min(left + g.kernel_w, g.in_w);
  }
  int pixels() const { return (y1 - y0) * (x1 - x0); }
};
}  // namespace fdi::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

// max(best, v), but NaN wherever one of them is: hn::Max answers by order and target.
template <class V>
HWY_INLINE V larger_or_nan(V best, V v) {
  return hn::IfThenElse(hn::Or(hn::Gt(v, best), hn::IsNaN(v)), v, best);
}

// One row of output pixels of one image.
void max_pool_row(const ConvGeometry& g, int oy, const float* image, float* y) {
  const int64_t pixel = g.in_channel, line = pixel * g.in_w;
  for (int ox = 0; ox < g.out_w; ++ox, y += pixel) {
    const PoolWindow w(g, oy, ox);
    const float* first = image + w.y0 * line + w.x0 * pixel;
    for_lanes(pixel, [&](auto d, int64_t c) HWY_ATTR {
      auto best = hn::LoadU(d, first + c);
      for (int i = w.y0; i < w.y1; ++i)
        for (int j = w.x0; j < w.x1; ++j) best = larger_or_nan(best, hn::LoadU(d, image + i * line + j * pixel + c));
      hn::StoreU(best, d, y + c);
    });
  }
}

void avg_pool_row(const ConvGeometry& g, int oy, const float* image, float* y) {
  const int64_t pixel = g.in_channel, line = pixel * g.in_w;
  for (int ox = 0; ox < g.out_w; ++ox, y += pixel) {
    const PoolWindow w(g, oy, ox);
    const float factor = 1.0F / static_cast<float>(w.pixels());
    for_lanes(pixel, [&](auto d, int64_t c) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (int i = w.y0; i < w.y1; ++i)
        for (int j = w.x0; j < w.x1; ++j) sum = hn::Add(sum, hn::LoadU(d, image + i * line + j * pixel + c));
      hn::StoreU(hn::Mul(sum, hn::Set(d, factor)), d, y + c);
    });
  }
}

// Adds one image's gradient to dx, which is zero at the start.
void max_pool_backward_image(const ConvGeometry& g, const float* x, const float* y, const float* dy, float* dx) {
  const int64_t pixel = g.in_channel, line = pixel * g.in_w;
  for (int oy = 0; oy < g.out_h; ++oy) {
    for (int ox = 0; ox < g.out_w; ++ox, y += pixel, dy += pixel) {
      const PoolWindow w(g, oy, ox);
      for_lanes(pixel, [&](auto d, int64_t c) HWY_ATTR {
        const auto best = hn::LoadU(d, y + c);
        auto rest = hn::LoadU(d, dy + c);  // becomes 0 in a lane once it has been given away
        for (int i = w.y0; i < w.y1; ++i) {
          for (int j = w.x0; j < w.x1; ++j) {
            const int64_t at = i * line + j * pixel + c;
            const auto hit = hn::Eq(hn::LoadU(d, x + at), best);
            hn::StoreU(hn::Add(hn::LoadU(d, dx + at), hn::IfThenElseZero(hit, rest)), d, dx + at);
            rest = hn::IfThenZeroElse(hit, rest);
          }
        }
      });
    }
  }
}

void avg_pool_backward_image(const ConvGeometry& g, const float* dy, float* dx) {
  const int64_t pixel = g.in_channel, line = pixel * g.in_w;
  for (int oy = 0; oy < g.out_h; ++oy) {
    for (int ox = 0; ox < g.out_w; ++ox, dy += pixel) {
      const PoolWindow w(g, oy, ox);
      const float factor = 1.0F / static_cast<float>(w.pixels());
      for_lanes(pixel, [&](auto d, int64_t c) HWY_ATTR {
        const auto share = hn::Mul(hn::LoadU(d, dy + c), hn::Set(d, factor));
        for (int i = w.y0; i < w.y1; ++i) {
          for (int j = w.x0; j < w.x1; ++j) {
            float* at = dx + i * line + j * pixel + c;
            hn::StoreU(hn::Add(hn::LoadU(d, at), share), d, at);
          }
        }
      });
    }
  }
}

// Sum over rows of one (rows, channel) matrix, times factor.
void sum_rows(int64_t rows, int64_t channel, float factor, const float* x, float* y) {
  for_lanes(channel, [&](auto d, int64_t c) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r) sum = hn::Add(sum, hn::LoadU(d, x + r * channel + c));
    hn::StoreU(hn::Mul(sum, hn::Set(d, factor)), d, y + c);
  });
}

// Every row of one (rows, channel) matrix = factor * dy.
void spread_rows(int64_t rows, int64_t channel, float factor, const float* dy, float* dx) {
  for (int64_t r = 0; r < rows; ++r, dx += channel) {
    for_lanes(channel, [&](auto d, int64_t c)
                           HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(d, dy + c), hn::Set(d, factor)), d, dx + c); });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels {

HWY_EXPORT(max_pool_row);
HWY_EXPORT(avg_pool_row);
HWY_EXPORT(max_pool_backward_image);
HWY_EXPORT(avg_pool_backward_image);
HWY_EXPORT(sum_rows);
HWY_EXPORT(spread_rows);

namespace {

constexpr int64_t kWorthThreads = 32768;  // floats touched; below it, waking threads costs more than it saves

template <class Row>
void pool_rows(Row* row, const ConvGeometry& g, int batch, const float* x, float* y, int threads) noexcept {
  for_each_index(int64_t{batch} * g.out_h, threads, batch * g.in_size() >= kWorthThreads, [&](int64_t i) {
    const int64_t image = i / g.out_h;
    row(g, static_cast<int>(i % g.out_h), x + image * g.in_size(), y + i * g.out_w * g.in_channel);
  });
}

// An image's dx is zeroed just before it is added to: it is then in the cache.
void clear(float* x, int64_t n) { std::memset(x, 0, static_cast<size_t>(n) * sizeof(float)); }

struct Rows {  // valid rows of one example, and 1 / them
  int64_t count;
  float factor;
  Rows(int b, int rows, const int* lengths) : count(lengths == nullptr ? rows : std::clamp(lengths[b], 0, rows)) {
    factor = count > 0 ? 1.0F / static_cast<float>(count) : 0.0F;
  }
};

}  // namespace

void max_pool_forward(const ConvGeometry& g, int batch, const float* x, float* y, int threads) noexcept {
  pool_rows(&HWY_DYNAMIC_DISPATCH(max_pool_row), g, batch, x, y, threads);
}

void avg_pool_forward(const ConvGeometry& g, int batch, const float* x, float* y, int threads) noexcept {
  pool_rows(&HWY_DYNAMIC_DISPATCH(avg_pool_row), g, batch, x, y, threads);
}

void max_pool_backward(const ConvGeometry& g, int batch, const float* x, const float* y, const float* dy, float* dx,
                       int threads) noexcept {
  const auto backward = &HWY_DYNAMIC_DISPATCH(max_pool_backward_image);
  const int64_t in = g.in_size(), out = int64_t{g.out_h} * g.out_w * g.in_channel;
  for_each_index(batch, threads, batch * in >= kWorthThreads, [&](int64_t b) {
    clear(dx + b * in, in);
    backward(g, x + b * in, y + b * out, dy + b * out, dx + b * in);
  });
}

void avg_pool_backward(const ConvGeometry& g, int batch, const float* dy, float* dx, int threads) noexcept {
  const auto backward = &HWY_DYNAMIC_DISPATCH(avg_pool_backward_image);
  const int64_t in = g.in_size(), out = int64_t{g.out_h} * g.out_w * g.in_channel;
  for_each_index(batch, threads, batch * in >= kWorthThreads, [&](int64_t b) {
    clear(dx + b * in, in);
    backward(g, dy + b * out, dx + b * in);
  });
}

void mean_rows_forward(int batch, int rows, int channel, const int* lengths, const float* x, float* y,
                       int threads) noexcept {
  const auto sum = &HWY_DYNAMIC_DISPATCH(sum_rows);
  const int64_t size = int64_t{rows} * channel;
  for_each_index(batch, threads, batch * size >= kWorthThreads, [&](int64_t b) {
    const Rows valid(static_cast<int>(b), rows, lengths);
    sum(valid.count, channel, valid.factor, x + b * size, y + b * channel);
  });
}

void mean_rows_backward(int batch, int rows, int channel, const int* lengths, const float* dy, float* dx,
                        int threads) noexcept {
  const auto spread = &HWY_DYNAMIC_DISPATCH(spread_rows);
  const int64_t size = int64_t{rows} * channel;
  for_each_index(batch, threads, batch * size >= kWorthThreads, [&](int64_t b) {
    const Rows valid(static_cast<int>(b), rows, lengths);
    spread(valid.count, channel, valid.factor, dy + b * channel, dx + b * size);
    clear(dx + b * size + valid.count * channel, (rows - valid.count) * channel);
  });
}

}  // namespace fdi::kernels
#endif
