// Where each tensor of a Network lies: tensors that are never alive at the same time share memory.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fdi::nn {

// Alive from step `first` to step `last`, both included. What is written in a step is alive beside what is read in it.
struct Interval {
  int64_t floats;
  int first, last;
};

struct Plan {
  std::vector<int64_t> offsets;  // in floats, multiples of a cache line; in the order of the intervals
  int64_t floats = 0;            // size of the whole block
};

// Greedy by size (Pisarchyk & Lee 2020): the largest first, each at the lowest place that is free for its whole life.
// For a chain this reaches the bound, the two largest neighbours.
Plan plan_memory(std::span<const Interval> intervals);

}  // namespace fdi::nn
