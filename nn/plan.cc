// Called by Network while it is built.
#include "nn/plan.h"

#include <algorithm>
#include <numeric>

namespace fdi::nn {

Plan plan_memory(std::span<const Interval> intervals) {
  constexpr int64_t kLine = 16;  // floats of a cache line
  const auto padded = [&](int i) { return (intervals[i].floats + kLine - 1) / kLine * kLine; };
  std::vector<int> order(intervals.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return padded(a) > padded(b); });

  Plan plan;
  plan.offsets.resize(intervals.size());
  std::vector<int> placed;  // by offset
  for (const int i : order) {
    int64_t offset = 0;
    for (const int other : placed) {
      const bool together = intervals[i].first <= intervals[other].last && intervals[other].first <= intervals[i].last;
      if (!together) continue;
      if (plan.offsets[other] - offset >= padded(i)) break;
      offset = std::max(offset, plan.offsets[other] + padded(other));
    }
    plan.offsets[i] = offset;
    plan.floats = std::max(plan.floats, offset + padded(i));
    const auto after = std::find_if(placed.begin(), placed.end(), [&](int p) { return plan.offsets[p] > offset; });
    placed.insert(after, i);
  }
  return plan;
}

}  // namespace fdi::nn
