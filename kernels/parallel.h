// Splits work over OpenMP threads in fixed pieces: the pieces depend on the size only, never on the number of threads,
// so that partial sums are the same numbers for any --threads. Called by the kernels; small work stays on the caller.
#pragma once
#include <algorithm>
#include <cstdint>

namespace fdi::kernels {

// f(i) for i in [0, count); `parallel` false runs on the calling thread without waking others.
template <class F>
void for_each_index(int64_t count, int threads, bool parallel, const F& f) noexcept {
  if (threads <= 1 || count <= 1 || !parallel) {
    for (int64_t i = 0; i < count; ++i) f(i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < count; ++i) f(i);
}

// f(begin, count) over pieces of n elements. 16384 floats: three streams of them fit a 256 KiB second-level cache.
template <class F>
void for_each_piece(int64_t n, int threads, const F& f) noexcept {
  constexpr int64_t kPiece = 16384;
  for_each_index((n + kPiece - 1) / kPiece, threads, n >= 2 * kPiece,
                 [&](int64_t i) { f(i * kPiece, std::min(kPiece, n - i * kPiece)); });
}

}  // namespace fdi::kernels
