// Functions of single elements: activations, sums, masks. Called by the layers of the same names, by nn/optimizer and
// wherever gradients meet. All are bandwidth bound. y may be one of the inputs. The ISA is the one in force: call
// kernels::isa() (building a Network does) or set_isa() before, so that FASTDEEPIOT_ISA is obeyed.
#pragma once
#include <cstdint>

namespace fdi::kernels {

void relu_forward(int64_t n, const float* x, float* y, int threads) noexcept;
// dx = y > 0 ? dy : 0
void relu_backward(int64_t n, const float* y, const float* dy, float* dx, int threads) noexcept;
void tanh_forward(int64_t n, const float* x, float* y, int threads) noexcept;
void tanh_backward(int64_t n, const float* y, const float* dy, float* dx, int threads) noexcept;
void sigmoid_forward(int64_t n, const float* x, float* y, int threads) noexcept;
void sigmoid_backward(int64_t n, const float* y, const float* dy, float* dx, int threads) noexcept;

// y = a + b, then max(0, .) with relu
void add(int64_t n, const float* a, const float* b, bool relu, float* y, int threads) noexcept;
// y = a * b: applies a dropout mask
void multiply(int64_t n, const float* a, const float* b, float* y, int threads) noexcept;
// y (batch, rows, channel) = x * factor (batch, channel): one factor per example and channel
void multiply_channels(int batch, int64_t rows, int channel, const float* factor, const float* x, float* y,
                       int threads) noexcept;
// y (batch, channel) = sum over rows of a * b, both (batch, rows, channel)
void sum_products(int batch, int64_t rows, int channel, const float* a, const float* b, float* y, int threads) noexcept;
// y = factor * x
void scale(int64_t n, float factor, const float* x, float* y, int threads) noexcept;
// y += factor * x
void axpy(int64_t n, float factor, const float* x, float* y, int threads) noexcept;
// y = x, by several threads
void copy(int64_t n, const float* x, float* y, int threads) noexcept;

}  // namespace fdi::kernels
