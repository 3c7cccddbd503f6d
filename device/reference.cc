#include "device/reference.h"

#include <array>
#include <cstdint>

#include "device/measure.h"

namespace fdi::device {
namespace {

// Sums over a block of floats, again and again: many independent additions and products keep the arithmetic units as
// busy as the kernels do, so that a neighbour on the same core shows as well as a slower clock.
constexpr int kFloats = 512;  // 2 KiB
constexpr int kRounds = 3000;

using Block = std::array<float, kFloats>;

__attribute__((noinline)) void work(Block& block) {
  for (int round = 0; round < kRounds; ++round)
    for (float& v : block) v = v * 0.75F + 0.25F;  // stays near 1: never denormal, never infinite
}

}  // namespace

double time_reference_us() {
  static thread_local Block block{};
  const double start = steady_clock_us();
  work(block);
  asm volatile("" : : "r"(block.data()) : "memory");  // the result counts as read
  return steady_clock_us() - start;
}

}  // namespace fdi::device
