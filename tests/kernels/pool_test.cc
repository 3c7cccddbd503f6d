// Pooling against the naive twin, on every instruction set: odd sizes, overlapping windows, one-sided padding.
#include "kernels/pool.h"

#include "tests/kernels/every_isa.h"
#include "tests/reference/pool.h"

namespace fdi::kernels {
namespace {

using Pool = EveryIsa;
FDI_FOR_EVERY_ISA(Pool);

constexpr double kTolerance = 1e-6;  // sums of at most 49 floats

struct Case {
  int h, w, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, out_h, out_w;
};
constexpr Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 0, 0, 1, 1},  // nothing to do
    {4, 6, 2, 2, 2, 2, 0, 0, 2, 3},  // VGG's
    {5, 5, 2, 2, 2, 2, 0, 0, 2, 2},  // valid: the last row and column are never read
    {5, 5, 2, 2, 2, 2, 0, 0, 3, 3},  // same: half a window at the end
    {7, 6, 3, 3, 2, 2, 1, 1, 4, 3},  // overlapping, padded
    {5, 3, 3, 2, 1, 1, 1, 0, 5, 3},  // stride 1, same
    {7, 7, 7, 7, 1, 1, 0, 0, 1, 1},  // all of it
    {6, 7, 1, 2, 3, 4, 0, 0, 2, 2},  // gaps between windows
};

ConvGeometry geometry(const Case& c, int channel) {
  return {.in_h = c.h,
          .in_w = c.w,
          .in_channel = channel,
          .kernel_h = c.kernel_h,
          .kernel_w = c.kernel_w,
          .stride_h = c.stride_h,
          .stride_w = c.stride_w,
          .pad_top = c.pad_top,
          .pad_left = c.pad_left,
          .out_h = c.out_h,
          .out_w = c.out_w,
          .out_channel = channel};
}

TEST_P(Pool, AgreesWithTheNaiveTwin) {
  for (const Case& c : kCases) {
    for (int channel : {1, 3, 4, 15, 16, 17, 37, 64}) {
      for (int batch : {1, 3}) {
        const ConvGeometry g = geometry(c, channel);
        auto x = random_floats(static_cast<size_t>(batch * g.in_size()), 1);
        for (float& v : x) v = std::round(v * 4) / 4;  // few distinct values: equal maxima do happen
        const auto dy = random_floats(static_cast<size_t>(batch * g.out_size()), 2);
        std::vector<float> y(dy.size()), dx(x.size(), 99.0F);
        max_pool_forward(g, batch, x.data(), y.data(), 2);
        expect_close(y, reference::max_pool(g, batch, x), 0, "max");
        max_pool_backward(g, batch, x.data(), y.data(), dy.data(), dx.data(), 2);
        expect_close(dx, reference::max_pool_gradient(g, batch, x, dy), kTolerance, "max gradient");
        avg_pool_forward(g, batch, x.data(), y.data(), 2);
        expect_close(y, reference::avg_pool(g, batch, x), kTolerance, "average");
        std::fill(dx.begin(), dx.end(), 99.0F);
        avg_pool_backward(g, batch, dy.data(), dx.data(), 2);
        expect_close(dx, reference::avg_pool_gradient(g, batch, dy), kTolerance, "average gradient");
      }
    }
  }
}

TEST_P(Pool, AMaximumOverNanIsNanWhereverItStands) {
  for (int channel : {1, 3, 16, 37}) {
    const ConvGeometry g = geometry({4, 6, 2, 2, 2, 2, 0, 0, 2, 3}, channel);
    for (int row = 0; row < g.in_h; ++row)
      for (int column = 0; column < g.in_w; ++column) {
        auto x = random_floats(static_cast<size_t>(g.in_size()), 6);
        std::vector<float> y(static_cast<size_t>(g.out_size()));
        for (int c = 0; c < channel; ++c) x[(row * g.in_w + column) * channel + c] = NAN;
        max_pool_forward(g, 1, x.data(), y.data(), 1);
        for (int o = 0; o < g.out_h * g.out_w; ++o)
          for (int c = 0; c < channel; ++c)
            ASSERT_EQ(std::isnan(y[o * channel + c]), o == row / 2 * g.out_w + column / 2)
                << "NaN at " << row << ", " << column << ", channel " << c << ", output " << o;
      }
  }
}

TEST_P(Pool, ThreadsChangeNoBit) {
  const ConvGeometry g = geometry({16, 16, 3, 3, 2, 2, 0, 0, 8, 8}, 33);
  const int batch = 9;
  const auto x = random_floats(static_cast<size_t>(batch * g.in_size()), 3);
  const auto all = [&](int threads) {  // every result, one after the other
    const auto outputs = static_cast<size_t>(batch * g.out_size());
    std::vector<float> most(outputs), mean(outputs), dmost(x.size()), dmean(x.size());
    max_pool_forward(g, batch, x.data(), most.data(), threads);
    max_pool_backward(g, batch, x.data(), most.data(), most.data(), dmost.data(), threads);
    avg_pool_forward(g, batch, x.data(), mean.data(), threads);
    avg_pool_backward(g, batch, mean.data(), dmean.data(), threads);
    for (const auto& part : {mean, dmost, dmean}) most.insert(most.end(), part.begin(), part.end());
    return most;
  };
  const auto one = all(1);
  for (const int threads : {2, 3, 5, 7}) EXPECT_EQ(one, all(threads)) << threads;
}

TEST_P(Pool, MeanOverRowsCountsValidRowsOnly) {
  for (int channel : {1, 5, 16, 33}) {
    const int batch = 4, rows = 6;
    const std::vector<int> lengths{6, 1, 0, 4};
    const auto x = random_floats(static_cast<size_t>(batch) * rows * channel, 4);
    const auto dy = random_floats(static_cast<size_t>(batch) * channel, 5);
    for (const int* valid : {static_cast<const int*>(nullptr), lengths.data()}) {
      std::vector<float> y(dy.size()), dx(x.size(), 99.0F);
      mean_rows_forward(batch, rows, channel, valid, x.data(), y.data(), 2);
      mean_rows_backward(batch, rows, channel, valid, dy.data(), dx.data(), 2);
      for (int b = 0; b < batch; ++b) {
        const int n = valid == nullptr ? rows : lengths[b];
        for (int c = 0; c < channel; ++c) {
          double sum = 0;
          for (int r = 0; r < n; ++r) sum += x[(b * rows + r) * channel + c];
          EXPECT_NEAR(y[b * channel + c], n == 0 ? 0 : sum / n, kTolerance);
          for (int r = 0; r < rows; ++r)
            EXPECT_NEAR(dx[(b * rows + r) * channel + c], r < n ? dy[b * channel + c] / n : 0.0, kTolerance);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fdi::kernels
