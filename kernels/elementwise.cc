// See elementwise.h. One range function per idea and target; the public functions cut the range into pieces.
#include "kernels/elementwise.h"

#include <cstring>

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

void relu_range(int64_t n, const float* x, float* y) {
  for_lanes(n,
            [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(at_least(d, hn::Zero(d), hn::LoadU(d, x + i)), d, y + i); });
}
void relu_backward_range(int64_t n, const float* y, const float* dy, float* dx) {
  for_lanes(n, [=](auto d, int64_t i) HWY_ATTR {
    const auto positive = hn::Gt(hn::LoadU(d, y + i), hn::Zero(d));
    hn::StoreU(hn::IfThenElseZero(positive, hn::LoadU(d, dy + i)), d, dx + i);
  });
}
void tanh_range(int64_t n, const float* x, float* y) {
  for_lanes(n, [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(tanh(d, hn::LoadU(d, x + i)), d, y + i); });
}
void tanh_backward_range(int64_t n, const float* y, const float* dy, float* dx) {
  for_lanes(n, [=](auto d, int64_t i) HWY_ATTR {
    const auto v = hn::LoadU(d, y + i);
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + i), hn::NegMulAdd(v, v, hn::Set(d, 1.0F))), d, dx + i);
  });
}
void sigmoid_range(int64_t n, const float* x, float* y) {
  for_lanes(n, [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(sigmoid(d, hn::LoadU(d, x + i)), d, y + i); });
}
void sigmoid_backward_range(int64_t n, const float* y, const float* dy, float* dx) {
  for_lanes(n, [=](auto d, int64_t i) HWY_ATTR {
    const auto v = hn::LoadU(d, y + i);
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + i), hn::NegMulAdd(v, v, v)), d, dx + i);
  });
}
void add_range(int64_t n, const float* a, const float* b, bool relu, float* y) {
  if (relu) {
    for_lanes(n, [=](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(at_least(d, hn::Zero(d), hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i))), d, y + i);
    });
  } else {
    for_lanes(n, [=](auto d, int64_t i)
                     HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, y + i); });
  }
}
void multiply_range(int64_t n, const float* a, const float* b, float* y) {
  for_lanes(
      n, [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, y + i); });
}
void multiply_rows(int64_t rows, int64_t channel, const float* factor, const float* x, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += channel, y += channel) {
    for_lanes(channel, [=](auto d, int64_t i)
                           HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(d, factor + i), hn::LoadU(d, x + i)), d, y + i); });
  }
}
void sum_products_of_rows(int64_t rows, int64_t channel, const float* a, const float* b, float* y) {
  for_lanes(channel, [=](auto d, int64_t i) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r)
      sum = hn::MulAdd(hn::LoadU(d, a + r * channel + i), hn::LoadU(d, b + r * channel + i), sum);
    hn::StoreU(sum, d, y + i);
  });
}
void scale_range(int64_t n, float factor, const float* x, float* y) {
  for_lanes(
      n, [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, x + i)), d, y + i); });
}
void axpy_range(int64_t n, float factor, const float* x, float* y) {
  for_lanes(n, [=](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::MulAdd(hn::Set(d, factor), hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, y + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels {

HWY_EXPORT(relu_range);
HWY_EXPORT(relu_backward_range);
HWY_EXPORT(tanh_range);
HWY_EXPORT(tanh_backward_range);
HWY_EXPORT(sigmoid_range);
HWY_EXPORT(sigmoid_backward_range);
HWY_EXPORT(add_range);
HWY_EXPORT(multiply_range);
HWY_EXPORT(multiply_rows);
HWY_EXPORT(sum_products_of_rows);
HWY_EXPORT(scale_range);
HWY_EXPORT(axpy_range);

namespace {

template <class Range>
void map(Range* range, int64_t n, const float* x, float* y, int threads) noexcept {
  for_each_piece(n, threads, [=](int64_t i, int64_t count) { range(count, x + i, y + i); });
}
template <class Range>
void map2(Range* range, int64_t n, const float* a, const float* b, float* y, int threads) noexcept {
  for_each_piece(n, threads, [=](int64_t i, int64_t count) { range(count, a + i, b + i, y + i); });
}

}  // namespace

void relu_forward(int64_t n, const float* x, float* y, int threads) noexcept {
  map(&HWY_DYNAMIC_DISPATCH(relu_range), n, x, y, threads);
}
void relu_backward(int64_t n, const float* y, const float* dy, float* dx, int threads) noexcept {
  map2(&HWY_DYNAMIC_DISPATCH(relu_backward_range), n, y, dy, dx, threads);
}
void tanh_forward(int64_t n, const float* x, float* y, int threads) noexcept {
  map(&HWY_DYNAMIC_DISPATCH(tanh_range), n, x, y, threads);
}
void tanh_backward(int64_t n, const float* y, const float* dy, float* dx, int threads) noexcept {
  map2(&HWY_DYNAMIC_DISPATCH(tanh_backward_range), n, y, dy, dx, threads);
}
void sigmoid_forward(int64_t n, const float* x, float* y, int threads) noexcept {
  map(&HWY_DYNAMIC_DISPATCH(sigmoid_range), n, x, y, threads);
}
void sigmoid_backward(int64_t n, const float* y, const float* dy, float* dx, int threads) noexcept {
  map2(&HWY_DYNAMIC_DISPATCH(sigmoid_backward_range), n, y, dy, dx, threads);
}
void add(int64_t n, const float* a, const float* b, bool relu, float* y, int threads) noexcept {
  const auto range = &HWY_DYNAMIC_DISPATCH(add_range);
  for_each_piece(n, threads, [=](int64_t i, int64_t count) { range(count, a + i, b + i, relu, y + i); });
}
void multiply(int64_t n, const float* a, const float* b, float* y, int threads) noexcept {
  map2(&HWY_DYNAMIC_DISPATCH(multiply_range), n, a, b, y, threads);
}
void multiply_channels(int batch, int64_t rows, int channel, const float* factor, const float* x, float* y,
                       int threads) noexcept {
  const auto multiply_example = &HWY_DYNAMIC_DISPATCH(multiply_rows);
  const int64_t size = rows * channel;
  for_each_index(batch, threads, batch * size >= 32768,
                 [&](int64_t b) { multiply_example(rows, channel, factor + b * channel, x + b * size, y + b * size); });
}
void sum_products(int batch, int64_t rows, int channel, const float* a, const float* b, float* y,
                  int threads) noexcept {
  const auto sum_example = &HWY_DYNAMIC_DISPATCH(sum_products_of_rows);
  const int64_t size = rows * channel;
  for_each_index(batch, threads, batch * size >= 32768,
                 [&](int64_t i) { sum_example(rows, channel, a + i * size, b + i * size, y + i * channel); });
}
void scale(int64_t n, float factor, const float* x, float* y, int threads) noexcept {
  const auto range = &HWY_DYNAMIC_DISPATCH(scale_range);
  for_each_piece(n, threads, [=](int64_t i, int64_t count) { range(count, factor, x + i, y + i); });
}
void axpy(int64_t n, float factor, const float* x, float* y, int threads) noexcept {
  const auto range = &HWY_DYNAMIC_DISPATCH(axpy_range);
  for_each_piece(n, threads, [=](int64_t i, int64_t count) { range(count, factor, x + i, y + i); });
}
void copy(int64_t n, const float* x, float* y, int threads) noexcept {
  if (x == y) return;
  for_each_piece(n, threads, [=](int64_t i, int64_t count) {
    std::memcpy(y + i, x + i, static_cast<size_t>(count) * sizeof(float));
  });
}

}  // namespace fdi::kernels
#endif
