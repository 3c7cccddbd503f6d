// The plain loops that several layers share: bound by memory, so the compiler's own vectors do. n elements each.
#pragma once
#include <algorithm>
#include <cstdint>

namespace fdi::nn {

// Below this a second thread costs more than it brings.
constexpr int64_t kParallelFloats = 1 << 14;

// dy = 0 where the output of a fused relu is not positive.
inline void mask_by_positive(int64_t n, const float* y, float* dy, int threads) {
#pragma omp parallel for simd schedule(static) num_threads(threads) if (n > kParallelFloats)
  for (int64_t i = 0; i < n; ++i) dy[i] = y[i] > 0 ? dy[i] : 0.0F;
}

inline void add_to(int64_t n, const float* x, float* y, int threads) {
#pragma omp parallel for simd schedule(static) num_threads(threads) if (n > kParallelFloats)
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

inline void copy(int64_t n, const float* x, float* y, int threads) {
#pragma omp parallel for simd schedule(static) num_threads(threads) if (n > kParallelFloats)
  for (int64_t i = 0; i < n; ++i) y[i] = x[i];
}

// sums (columns) of x (rows, columns)
inline void column_sums(int64_t rows, int64_t columns, const float* x, float* sums) {
  std::fill_n(sums, columns, 0.0F);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) sums[c] += x[r * columns + c];
}

}  // namespace fdi::nn
