// Pooling of NHWC images: windows over pixels, each channel for itself. Called by the max_pool, avg_pool,
// global_avg_pool and time_mean layers. The geometry is the convolution's (kernels/gemm.h) with out_channel =
// in_channel; positions outside the image do not count (not in the maximum, not in the average's divisor), as in
// TensorFlow and in PyTorch with count_include_pad=False. Every window must meet the image.
#pragma once
#include "kernels/gemm.h"

namespace fdi::kernels {

// x (batch, in_h, in_w, channel) -> y (batch, out_h, out_w, channel)
void max_pool_forward(const ConvGeometry& g, int batch, const float* x, float* y, int threads) noexcept;
// The gradient goes to the first of equal maxima, row by row. dx overwritten.
void max_pool_backward(const ConvGeometry& g, int batch, const float* x, const float* y, const float* dy, float* dx,
                       int threads) noexcept;
void avg_pool_forward(const ConvGeometry& g, int batch, const float* x, float* y, int threads) noexcept;
void avg_pool_backward(const ConvGeometry& g, int batch, const float* dy, float* dx, int threads) noexcept;

// y (batch, channel) = mean over the rows of x (batch, rows, channel), over the first lengths[b] rows where lengths is
// not null (0 rows: y = 0).
void mean_rows_forward(int batch, int rows, int channel, const int* lengths, const float* x, float* y,
                       int threads) noexcept;
void mean_rows_backward(int batch, int rows, int channel, const int* lengths, const float* dy, float* dx,
                        int threads) noexcept;

}  // namespace fdi::kernels
