// Rng: a counter-based generator. A stream is named by integers, e.g. Rng(seed, kShuffle, epoch) or
// Rng(seed, kDropout, step, layer), so nothing of it needs to be saved: a resumed run draws the same numbers,
// and threads that own different streams never meet. The mixer is splitmix64 (Steele et al. 2014).
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>

namespace fdi::core {

// The first word after the seed: who draws. Keeps unrelated draws apart; append only, files depend on the values.
enum class Stream : uint64_t {
  kInit = 1,
  kShuffle,
  kAugment,
  kDropout,
  kSynthetic,
  kSplit,
  kTest,
  kCampaign,
  kSampler,
  kMask,
  kCompressor
};

class Rng {
 public:
  template <class... Words>
  explicit Rng(uint64_t seed, Stream stream, Words... words) : state_(mix(seed + kGamma)) {
    absorb(static_cast<uint64_t>(stream));
    (absorb(static_cast<uint64_t>(words)), ...);
  }
  uint64_t next() { return mix(state_ += kGamma); }
  // Uniform in [0, 1), 24 bits.
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  // Uniform in [0, n), n > 0, unbiased enough for n < 2^32 (multiply-shift).
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(((next() >> 32) * n) >> 32); }
  // Standard normal (Box-Muller; the second value is dropped so that the stream position stays simple).
  float normal() {
    const double u = (static_cast<double>(next() >> 11) + 1.0) * 0x1p-53;
    const double v = static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
  }
  template <class It>
  void shuffle(It first, It last) {  // Fisher-Yates
    for (auto n = static_cast<uint32_t>(last - first); n > 1; --n) std::swap(first[n - 1], first[below(n)]);
  }

 private:
  void absorb(uint64_t word) { state_ = mix(state_ ^ mix(word + kGamma)); }
  static constexpr uint64_t kGamma = 0x9E3779B97F4A7C15ull;
  static constexpr uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

}  // namespace fdi::core
