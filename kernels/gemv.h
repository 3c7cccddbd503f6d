// Vector times matrix, what a recurrent layer does at every step of a batch of one. Called by nn/recurrent.
#pragma once
#include <cstdint>

namespace fdi::kernels {

// y (n) = x (k) w (k, n) [+ bias (n)]; row i of w at w + i * ldw. One thread: the work is tiny. Bandwidth bound once w
// leaves the second-level cache; rows that start at a cache line (ldw a multiple of 16) are read fastest.
void gemv(int64_t k, int64_t n, const float* x, const float* w, int64_t ldw, const float* bias, float* y) noexcept;

}  // namespace fdi::kernels
