// See batch_norm.h. The reductions take eight rows at a time, so that the accumulators of all channels, which live in
// the first-level cache, are read and written once per eight rows.
#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

constexpr int64_t kRowGroup = 8;

// sum += x - x0, square += (x - x0)^2 over the rows, where x0 is the first row: a large mean costs no digits.
void moments(int64_t rows, int64_t channel, const float* x, float* sum, float* square) {
  const float* x0 = x;
  for (int64_t r = 0; r < rows; r += kRowGroup, x += kRowGroup * channel) {
    const int64_t group = std::min(kRowGroup, rows - r);
    for_lanes(channel, [&](auto d, int64_t c) HWY_ATTR {
      auto s = hn::LoadU(d, sum + c), q = hn::LoadU(d, square + c);
      const auto origin = hn::LoadU(d, x0 + c);
      for (int64_t i = 0; i < group; ++i) {
        const auto v = hn::Sub(hn::LoadU(d, x + i * channel + c), origin);
        s = hn::Add(s, v);
        q = hn::MulAdd(v, v, q);
      }
      hn::StoreU(s, d, sum + c);
      hn::StoreU(q, d, square + c);
    });
  }
}

void normalise(const BatchNorm& bn, int64_t rows, const float* x, float* y) {
  const int64_t channel = bn.channel;
  const float low = bn.relu ? 0.0F : -HUGE_VALF;
  for (int64_t r = 0; r < rows; ++r, x += channel, y += channel) {
    for_lanes(channel, [&](auto d, int64_t c) HWY_ATTR {
      const auto centred = hn::Sub(hn::LoadU(d, x + c), hn::LoadU(d, bn.mean + c));
      const auto factor = hn::Mul(hn::LoadU(d, bn.gamma + c), hn::LoadU(d, bn.inv_std + c));
      const auto v = hn::MulAdd(centred, factor, hn::LoadU(d, bn.beta + c));
      hn::StoreU(at_least(d, hn::Set(d, low), v), d, y + c);
    });
  }
}

// dy where forward's output was positive: the same expression as in normalise(), so the same bits.
template <class D, class V>
HWY_INLINE V through_relu(D d, const BatchNorm& bn, int64_t c, V centred, V dy) {
  const auto factor = hn::Mul(hn::LoadU(d, bn.gamma + c), hn::LoadU(d, bn.inv_std + c));
  const auto v = hn::MulAdd(centred, factor, hn::LoadU(d, bn.beta + c));
  return hn::IfThenElseZero(hn::Gt(v, hn::Zero(d)), dy);
}

// sum += dy, product += dy * (x - mean), with dy after the ReLU's mask.
template <bool kRelu>
void gradient_sums_of(const BatchNorm& bn, int64_t rows, const float* x, const float* dy, float* sum, float* product) {
  const int64_t channel = bn.channel;
  for (int64_t r = 0; r < rows; r += kRowGroup, x += kRowGroup * channel, dy += kRowGroup * channel) {
    const int64_t group = std::min(kRowGroup, rows - r);
    for_lanes(channel, [&](auto d, int64_t c) HWY_ATTR {
      auto s = hn::LoadU(d, sum + c), p = hn::LoadU(d, product + c);
      const auto mean = hn::LoadU(d, bn.mean + c);
      for (int64_t i = 0; i < group; ++i) {
        const auto centred = hn::Sub(hn::LoadU(d, x + i * channel + c), mean);
        auto g = hn::LoadU(d, dy + i * channel + c);
        if constexpr (kRelu) g = through_relu(d, bn, c, centred, g);
        s = hn::Add(s, g);
        p = hn::MulAdd(g, centred, p);
      }
      hn::StoreU(s, d, sum + c);
      hn::StoreU(p, d, product + c);
    });
  }
}
void gradient_sums(const BatchNorm& bn, int64_t rows, const float* x, const float* dy, float* sum, float* product) {
  if (bn.relu) {
    gradient_sums_of<true>(bn, rows, x, dy, sum, product);
  } else {
    gradient_sums_of<false>(bn, rows, x, dy, sum, product);
  }
}

// dx = a * dy + b * (x - mean) + c, with a, b, c (channel) as gradient_coefficients() made them.
template <bool kRelu>
void input_gradient_of(const BatchNorm& bn, int64_t rows, const float* abc, const float* x, const float* dy,
                       float* dx) {
  const int64_t channel = bn.channel;
  for (int64_t r = 0; r < rows; ++r, x += channel, dy += channel, dx += channel) {
    for_lanes(channel, [&](auto d, int64_t c) HWY_ATTR {
      const auto centred = hn::Sub(hn::LoadU(d, x + c), hn::LoadU(d, bn.mean + c));
      auto g = hn::LoadU(d, dy + c);
      if constexpr (kRelu) g = through_relu(d, bn, c, centred, g);
      const auto rest = hn::MulAdd(centred, hn::LoadU(d, abc + channel + c), hn::LoadU(d, abc + 2 * channel + c));
      hn::StoreU(hn::MulAdd(g, hn::LoadU(d, abc + c), rest), d, dx + c);
    });
  }
}
void input_gradient(const BatchNorm& bn, int64_t rows, const float* abc, const float* x, const float* dy, float* dx) {
  if (bn.relu) {
    input_gradient_of<true>(bn, rows, abc, x, dy, dx);
  } else {
    input_gradient_of<false>(bn, rows, abc, x, dy, dx);
  }
}

void affine(int64_t rows, int64_t channel, const float* scale, const float* shift, bool relu, const float* x,
            float* y) {
  const float low = relu ? 0.0F : -HUGE_VALF;
  for (int64_t r = 0; r < rows; ++r, x += channel, y += channel) {
    for_lanes(channel, [&](auto d, int64_t c) HWY_ATTR {
      const auto v = hn::MulAdd(hn::LoadU(d, x + c), hn::LoadU(d, scale + c), hn::LoadU(d, shift + c));
      hn::StoreU(at_least(d, hn::Set(d, low), v), d, y + c);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels {

HWY_EXPORT(moments);
HWY_EXPORT(normalise);
HWY_EXPORT(gradient_sums);
HWY_EXPORT(input_gradient);
HWY_EXPORT(affine);

namespace {

constexpr int64_t kRowBlock = 128;        // rows whose partial sums stay in float
constexpr int64_t kWorthThreads = 32768;  // floats
constexpr int kChannelPiece = 64;         // channels combined at a time, in double, on the stack

int64_t block_count(int64_t rows) { return (rows + kRowBlock - 1) / kRowBlock; }

// f(block, first row, rows) over all blocks of rows.
template <class F>
void for_each_block(int64_t rows, int channel, int threads, const F& f) noexcept {
  for_each_index(block_count(rows), threads, rows * channel >= kWorthThreads, [&](int64_t b) {
    const int64_t first = b * kRowBlock;
    f(b, first, std::min(kRowBlock, rows - first));
  });
}

// Mean and biased variance from the blocks' sums about their first rows (Chan, Golub & LeVeque 1979).
void combine_moments(const BatchNorm& bn, const float* x, const float* partial, float momentum, float* running_mean,
                     float* running_var, int c0, int count) noexcept {
  double mean[kChannelPiece] = {}, m2[kChannelPiece] = {};
  double n = 0;
  for (int64_t b = 0; b < block_count(bn.rows); ++b) {
    const int64_t first = b * kRowBlock;
    const auto k = static_cast<double>(std::min(kRowBlock, bn.rows - first));
    const float* origin = x + first * bn.channel + c0;
    const float* sum = partial + 2 * b * bn.channel + c0;
    const float* square = sum + bn.channel;
    for (int c = 0; c < count; ++c) {
      const double s = sum[c];
      const double delta = origin[c] + s / k - mean[c];
      m2[c] += square[c] - s * s / k + delta * delta * n * k / (n + k);
      mean[c] += delta * k / (n + k);
    }
    n += k;
  }
  for (int c = 0; c < count; ++c) {
    const double m = std::max(m2[c], 0.0);
    bn.mean[c0 + c] = static_cast<float>(mean[c]);
    bn.inv_std[c0 + c] = static_cast<float>(1.0 / std::sqrt(m / n + bn.epsilon));
    const double unbiased = n > 1 ? m / (n - 1) : m;
    running_mean[c0 + c] += momentum * (static_cast<float>(mean[c]) - running_mean[c0 + c]);
    running_var[c0 + c] += momentum * (static_cast<float>(unbiased) - running_var[c0 + c]);
  }
}

// dgamma, dbeta and the three coefficients of input_gradient() from the blocks' sums.
void combine_gradients(const BatchNorm& bn, const float* partial, float* dgamma, float* dbeta, float* abc, int c0,
                       int count) noexcept {
  double sum[kChannelPiece] = {}, product[kChannelPiece] = {};
  for (int64_t b = 0; b < block_count(bn.rows); ++b) {
    const float* s = partial + 2 * b * bn.channel + c0;
    for (int c = 0; c < count; ++c) {
      sum[c] += s[c];
      product[c] += s[bn.channel + c];
    }
  }
  const auto n = static_cast<double>(bn.rows);
  for (int c = 0; c < count; ++c) {
    const int at = c0 + c;
    const double inv = bn.inv_std[at], a = inv * bn.gamma[at];
    dbeta[at] = static_cast<float>(sum[c]);
    dgamma[at] = static_cast<float>(product[c] * inv);
    abc[at] = static_cast<float>(a);
    abc[bn.channel + at] = static_cast<float>(-a * inv * inv * product[c] / n);
    abc[2 * bn.channel + at] = static_cast<float>(-a * sum[c] / n);
  }
}

template <class F>
void for_channel_pieces(int channel, int threads, bool parallel, const F& f) noexcept {
  for_each_index((channel + kChannelPiece - 1) / kChannelPiece, threads, parallel, [&](int64_t i) {
    const int c0 = static_cast<int>(i) * kChannelPiece;
    f(c0, std::min(kChannelPiece, channel - c0));
  });
}

}  // namespace

size_t batch_norm_workspace_bytes(int64_t rows, int channel) {
  return static_cast<size_t>((2 * block_count(rows) + 3) * channel) * sizeof(float);
}

void batch_norm_forward(const BatchNorm& bn, float momentum, const float* x, float* y, float* running_mean,
                        float* running_var, const Workspace& workspace) noexcept {
  if (bn.rows == 0) return;
  auto* partial = reinterpret_cast<float*>(workspace.data);  // (block, {sum, square}, channel)
  const int64_t channel = bn.channel;
  const auto moments_of = &HWY_DYNAMIC_DISPATCH(moments);
  const auto normalise_rows = &HWY_DYNAMIC_DISPATCH(normalise);
  for_each_block(bn.rows, bn.channel, workspace.threads, [&](int64_t b, int64_t first, int64_t rows) {
    float* sum = partial + 2 * b * channel;
    std::memset(sum, 0, static_cast<size_t>(2 * channel) * sizeof(float));
    moments_of(rows, channel, x + first * channel, sum, sum + channel);
  });
  const bool many = block_count(bn.rows) * channel >= kWorthThreads;
  for_channel_pieces(bn.channel, workspace.threads, many, [&](int c0, int count) {
    combine_moments(bn, x, partial, momentum, running_mean, running_var, c0, count);
  });
  for_each_block(bn.rows, bn.channel, workspace.threads, [&](int64_t, int64_t first, int64_t rows) {
    normalise_rows(bn, rows, x + first * channel, y + first * channel);
  });
}

void batch_norm_backward(const BatchNorm& bn, const float* x, const float* dy, float* dx, float* dgamma, float* dbeta,
                         const Workspace& workspace) noexcept {
  auto* partial = reinterpret_cast<float*>(workspace.data);  // (block, {sum, product}, channel), then abc
  const int64_t channel = bn.channel;
  float* abc = partial + 2 * block_count(bn.rows) * channel;
  const auto sums = &HWY_DYNAMIC_DISPATCH(gradient_sums);
  const auto gradient = &HWY_DYNAMIC_DISPATCH(input_gradient);
  for_each_block(bn.rows, bn.channel, workspace.threads, [&](int64_t b, int64_t first, int64_t rows) {
    float* sum = partial + 2 * b * channel;
    std::memset(sum, 0, static_cast<size_t>(2 * channel) * sizeof(float));
    sums(bn, rows, x + first * channel, dy + first * channel, sum, sum + channel);
  });
  const bool many = block_count(bn.rows) * channel >= kWorthThreads;
  for_channel_pieces(bn.channel, workspace.threads, many,
                     [&](int c0, int count) { combine_gradients(bn, partial, dgamma, dbeta, abc, c0, count); });
  if (dx == nullptr) return;
  for_each_block(bn.rows, bn.channel, workspace.threads, [&](int64_t, int64_t first, int64_t rows) {
    gradient(bn, rows, abc, x + first * channel, dy + first * channel, dx + first * channel);
  });
}

void batch_norm_fold(int channel, float epsilon, const float* gamma, const float* beta, const float* running_mean,
                     const float* running_var, float* scale, float* shift) noexcept {
  for (int c = 0; c < channel; ++c) {
    const double a = gamma[c] / std::sqrt(static_cast<double>(running_var[c]) + epsilon);
    scale[c] = static_cast<float>(a);
    shift[c] = static_cast<float>(beta[c] - a * running_mean[c]);
  }
}

void batch_norm_inference(int64_t rows, int channel, const float* scale, const float* shift, bool relu, const float* x,
                          float* y, int threads) noexcept {
  const auto affine_rows = &HWY_DYNAMIC_DISPATCH(affine);
  for_each_block(rows, channel, threads, [&](int64_t, int64_t first, int64_t count) {
    affine_rows(count, channel, scale, shift, relu, x + first * channel, y + first * channel);
  });
}

}  // namespace fdi::kernels
#endif
