#include "device/reference.h"

#include <omp.h>

#include <array>
#include <vector>

#include "device/measure.h"

namespace fdi::device {
namespace {

// Sums over a block of floats, again and again: many independent additions and products keep the arithmetic units as
// busy as the kernels do, so that a neighbour on the same core shows as well as a slower clock.
constexpr int kFloats = 512;  // 2 KiB
constexpr int kRounds = 3000;

using Block = std::array<float, kFloats>;

// Values stay near 1: never denormal, never infinite.
template <class Floats>
__attribute__((noinline)) void work(Floats& floats, int rounds) {
  for (int round = 0; round < rounds; ++round)
    for (float& v : floats) v = v * 0.75F + 0.25F;
  asm volatile("" : : "r"(floats.data()) : "memory");  // the result counts as read
}

// What several threads do beside it: each goes on with what another one has just written, as from layer to layer.
// Between processors of a virtual machine that is slow for seconds or minutes: VGG-16 at a quarter of its width took
// 155 us and 210 us with two threads, while either computed equally fast.
constexpr int kTurns = 32;
using Passed = std::array<float, 8192>;  // 32 KiB

void pass_on(int threads) {
  static std::vector<Passed> blocks;
  blocks.resize(static_cast<size_t>(threads));
  for (int turn = 0; turn < kTurns; ++turn) {
#pragma omp parallel num_threads(threads)
    work(blocks[static_cast<size_t>((omp_get_thread_num() + turn) % threads)], 1);
  }
}

}  // namespace

double time_reference_us(int threads) {
  const double start = steady_clock_us();
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    static thread_local Block block{};
    work(block, kRounds);
  }
  if (threads > 1) pass_on(threads);
  return steady_clock_us() - start;
}

}  // namespace fdi::device
