#include "tests/reference/pool.h"

#include <limits>

namespace fdi::reference {
namespace {

using kernels::ConvGeometry;

// f(output index, input index) for every pixel of every window, row by row within a window.
template <class F>
void for_each_pair(const ConvGeometry& g, int batch, F f) {
  for (int b = 0; b < batch; ++b)
    for (int oy = 0; oy < g.out_h; ++oy)
      for (int ox = 0; ox < g.out_w; ++ox)
        for (int c = 0; c < g.in_channel; ++c)
          for (int ky = 0; ky < g.kernel_h; ++ky)
            for (int kx = 0; kx < g.kernel_w; ++kx) {
              const int y = oy * g.stride_h - g.pad_top + ky, x = ox * g.stride_w - g.pad_left + kx;
              if (y < 0 || y >= g.in_h || x < 0 || x >= g.in_w) continue;
              f(((b * g.out_h + oy) * g.out_w + ox) * g.in_channel + c,
                ((b * g.in_h + y) * g.in_w + x) * g.in_channel + c);
            }
}

size_t outputs(const ConvGeometry& g, int batch) {
  return static_cast<size_t>(batch) * g.out_h * g.out_w * g.in_channel;
}
size_t inputs(const ConvGeometry& g, int batch) { return static_cast<size_t>(batch * g.in_size()); }

}  // namespace

std::vector<double> max_pool(const ConvGeometry& g, int batch, const std::vector<float>& x) {
  std::vector<double> y(outputs(g, batch), -std::numeric_limits<double>::infinity());
  for_each_pair(g, batch, [&](int o, int i) { y[o] = x[i] > y[o] ? x[i] : y[o]; });
  return y;
}

std::vector<double> max_pool_gradient(const ConvGeometry& g, int batch, const std::vector<float>& x,
                                      const std::vector<float>& dy) {
  const std::vector<double> y = max_pool(g, batch, x);
  std::vector<double> dx(inputs(g, batch));
  std::vector<bool> given(y.size());
  for_each_pair(g, batch, [&](int o, int i) {
    if (given[o] || x[i] != y[o]) return;
    dx[i] += dy[o];
    given[o] = true;
  });
  return dx;
}

std::vector<double> avg_pool(const ConvGeometry& g, int batch, const std::vector<float>& x) {
  std::vector<double> y(outputs(g, batch)), count(outputs(g, batch));
  for_each_pair(g, batch, [&](int o, int i) { y[o] += x[i], count[o] += 1; });
  for (size_t o = 0; o < y.size(); ++o) y[o] /= count[o];
  return y;
}

std::vector<double> avg_pool_gradient(const ConvGeometry& g, int batch, const std::vector<float>& dy) {
  std::vector<double> dx(inputs(g, batch)), count(outputs(g, batch));
  for_each_pair(g, batch, [&](int o, int) { count[o] += 1; });
  for_each_pair(g, batch, [&](int o, int i) { dx[i] += dy[o] / count[o]; });
  return dx;
}

}  // namespace fdi::reference
