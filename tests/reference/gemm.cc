#include "tests/reference/gemm.h"

#include <algorithm>

namespace fdi::reference {
using kernels::ConvGeometry;

void im2col(const ConvGeometry& g, int batch, const float* x, std::vector<float>& columns) {
  columns.assign(static_cast<size_t>(batch) * g.out_h * g.out_w * g.patch(), 0.0F);
  size_t at = 0;
  for (int b = 0; b < batch; ++b)
    for (int oy = 0; oy < g.out_h; ++oy)
      for (int ox = 0; ox < g.out_w; ++ox)
        for (int ky = 0; ky < g.kernel_h; ++ky)
          for (int kx = 0; kx < g.kernel_w; ++kx)
            for (int c = 0; c < g.in_channel; ++c, ++at) {
              const int iy = oy * g.stride_h - g.pad_top + ky, ix = ox * g.stride_w - g.pad_left + kx;
              if (iy >= 0 && iy < g.in_h && ix >= 0 && ix < g.in_w)
                columns[at] = x[((static_cast<size_t>(b) * g.in_h + iy) * g.in_w + ix) * g.in_channel + c];
            }
}

void gemm(const kernels::Gemm& call) {
  kernels::Operand a = call.a;
  std::vector<float> columns;
  if (a.patches != nullptr) {
    const int64_t pixels = a.transposed ? call.k : call.m;
    im2col(*a.patches, static_cast<int>(pixels / (int64_t{a.patches->out_h} * a.patches->out_w)), a.data, columns);
    a = {columns.data(), a.patches->patch(), a.transposed, nullptr};
  }
  const auto at = [](const kernels::Operand& x, int64_t i, int64_t j) {
    return static_cast<double>(x.transposed ? x.data[j * x.ld + i] : x.data[i * x.ld + j]);
  };
  for (int64_t i = 0; i < call.m; ++i)
    for (int64_t j = 0; j < call.n; ++j) {
      float& c = call.c[i * call.ldc + j];
      double sum = (call.accumulate ? c : 0.0) + (call.bias != nullptr ? call.bias[j] : 0.0);
      for (int64_t k = 0; k < call.k; ++k) sum += at(a, i, k) * at(call.b, k, j);
      c = static_cast<float>(call.activation == kernels::Activation::kRelu ? std::max(sum, 0.0) : sum);
    }
}

void conv2d(const ConvGeometry& g, int batch, const float* x, const float* weight, const float* bias, float* y) {
  kernels::Gemm call;
  call.m = int64_t{batch} * g.out_h * g.out_w;
  call.n = g.out_channel;
  call.k = g.patch();
  call.a = {x, 0, false, &g};
  call.b = {weight, g.out_channel};
  call.c = y;
  call.ldc = g.out_channel;
  call.bias = bias;
  gemm(call);
}

void conv2d_backward(const ConvGeometry& g, int batch, const float* x, const float* weight, const float* dy, float* dx,
                     float* dweight, float* dbias) {
  std::vector<double> dx_sum(static_cast<size_t>(batch) * g.in_size()),
      dw_sum(static_cast<size_t>(g.patch()) * g.out_channel);
  std::vector<double> db_sum(g.out_channel);
  size_t at = 0;
  for (int b = 0; b < batch; ++b)
    for (int oy = 0; oy < g.out_h; ++oy)
      for (int ox = 0; ox < g.out_w; ++ox)
        for (int n = 0; n < g.out_channel; ++n, ++at) {
          const double grad = dy[at];
          db_sum[n] += grad;
          for (int ky = 0; ky < g.kernel_h; ++ky)
            for (int kx = 0; kx < g.kernel_w; ++kx) {
              const int iy = oy * g.stride_h - g.pad_top + ky, ix = ox * g.stride_w - g.pad_left + kx;
              if (iy < 0 || iy >= g.in_h || ix < 0 || ix >= g.in_w) continue;
              for (int c = 0; c < g.in_channel; ++c) {
                const size_t xi = ((static_cast<size_t>(b) * g.in_h + iy) * g.in_w + ix) * g.in_channel + c;
                const size_t wi = ((static_cast<size_t>(ky) * g.kernel_w + kx) * g.in_channel + c) * g.out_channel + n;
                dx_sum[xi] += grad * weight[wi];
                dw_sum[wi] += grad * x[xi];
              }
            }
        }
  std::copy(dx_sum.begin(), dx_sum.end(), dx);
  std::copy(dw_sum.begin(), dw_sum.end(), dweight);
  if (dbias != nullptr) std::copy(db_sum.begin(), db_sum.end(), dbias);
}

}  // namespace fdi::reference
