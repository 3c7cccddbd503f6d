// See column_sums.h. Bound by memory, so the compiler's vectors do, and NEON without doubles needs no case of its own.
#include "kernels/column_sums.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace fdi::kernels {
namespace {

constexpr int64_t kStripe = 16;                        // columns a thread adds up together: one cache line of each row
constexpr int64_t kWorthThreads = int64_t{32} * 1024;  // floats; below it, waking threads costs more than it saves

template <int64_t kCount>
void stripe(int64_t rows, int64_t columns, int64_t count, const float* x, float* sums) {
  if (kCount > 0) count = kCount;  // a constant: the sums stay in registers
  double total[kStripe] = {};
  for (int64_t r = 0; r < rows; ++r, x += columns)
    for (int64_t c = 0; c < count; ++c) total[c] += x[c];
  for (int64_t c = 0; c < count; ++c) sums[c] = static_cast<float>(total[c]);
}

}  // namespace

void column_sums(int64_t rows, int64_t columns, const float* x, float* sums, int threads) noexcept {
  for_each_index((columns + kStripe - 1) / kStripe, threads, rows * columns >= kWorthThreads, [&](int64_t i) {
    const int64_t first = i * kStripe, count = std::min(kStripe, columns - first);
    const auto sum = count == kStripe ? stripe<kStripe> : stripe<0>;
    sum(rows, columns, count, x + first, sums + first);
  });
}

}  // namespace fdi::kernels
