// Column sums of a matrix: the gradient of a bias. Called by convolution and by the fc and recurrent layers.
#pragma once
#include <cstdint>

namespace fdi::kernels {

// sums (columns) of the rows of x (rows, columns), added up in double: a bias's gradient may be the sum of 100,000
// values that nearly cancel. The same bits for any number of threads and any ISA.
void column_sums(int64_t rows, int64_t columns, const float* x, float* sums, int threads) noexcept;

}  // namespace fdi::kernels
