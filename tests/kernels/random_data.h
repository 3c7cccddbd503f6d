// Random vectors for kernel tests, and the error that a float sum of n products may have.
#pragma once
#include <cmath>
#include <vector>

#include "core/rng.h"

namespace fdi::testing {

inline std::vector<float> random_floats(size_t n, uint64_t seed, float low = -1, float high = 1) {
  core::Rng rng(seed, core::Stream::kTest);
  std::vector<float> v(n);
  for (float& x : v) x = rng.uniform(low, high);
  return v;
}

// Terms of size <= 1 summed in any order: the error grows like a random walk, sqrt(n) ulps; 8 standard deviations.
inline float sum_tolerance(int64_t n) {
  return 8.0F * 6e-8F * (1.0F + std::sqrt(static_cast<float>(n))) * std::log2(2.0F + n);
}

}  // namespace fdi::testing
