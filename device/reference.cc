#include "device/reference.h"

#include <omp.h>

#include <array>
#include <vector>

#include "device/measure.h"

namespace fdi::device {
namespace {

// Sums of a block of floats, again and again: reads of the first-level cache without a pause, as kernels do. That is
// what a neighbour on the same core takes away: where networks took 15 to 25% longer on a shared host, this took 11 to
// 20% longer, and products in registers no longer than ever. Without writes: a loop that wrote what it read took 58 or
// 102 us for minutes at a time, while networks were equally fast.
using Vec __attribute__((vector_size(16))) = float;  // of the narrowest instruction sets: the same work on all
constexpr int kVecs = 512;                           // 8 KiB
constexpr int kSums = 8;                             // so that none waits for the one before
constexpr int kRounds = 575;

__attribute__((noinline)) void sum(const std::array<Vec, kVecs>& block, int rounds) {
  std::array<Vec, kSums> sums{};
  for (int round = 0; round < rounds; ++round)
    for (size_t i = 0; i < kVecs; i += kSums)
      for (size_t j = 0; j < kSums; ++j) sums[j] += block[i + j];
  asm volatile("" : : "r"(&sums) : "memory");  // the sums count as read
}

// What several threads do beside it: each goes on with what another one has just written, as from layer to layer.
// Between processors of a virtual machine that is slow for seconds or minutes: VGG-16 at a quarter of its width took
// 155 us and 210 us with two threads, while either computed equally fast.
constexpr int kTurns = 32;
using Passed = std::array<float, 8192>;  // 32 KiB

__attribute__((noinline)) void write(Passed& floats) {
  for (float& v : floats) v = v * 0.75F + 0.25F;  // stays near 1: never denormal, never infinite
  asm volatile("" : : "r"(floats.data()) : "memory");
}

void pass_on(int threads, int turns) {
  static std::vector<Passed> blocks;
  blocks.resize(static_cast<size_t>(threads));
  for (int turn = 0; turn < turns; ++turn) {
#pragma omp parallel num_threads(threads)
    write(blocks[static_cast<size_t>((omp_get_thread_num() + turn) % threads)]);
  }
}

void run(int threads, int rounds, int turns) {
  static const std::array<Vec, kVecs> block{};
#pragma omp parallel num_threads(threads) if (threads > 1)
  sum(block, rounds);
  if (threads > 1) pass_on(threads, turns);
}

}  // namespace

double time_reference_us(int threads) {
  // What ran before may have driven code and data out of the caches: after networks of 7 ms it would take 15% longer.
  run(threads, 2, threads);
  const double start = steady_clock_us();
  run(threads, kRounds, kTurns);
  return steady_clock_us() - start;
}

}  // namespace fdi::device
