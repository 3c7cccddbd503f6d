// plan_memory: no two tensors that live together overlap; chains reach the bound.
#include "nn/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/rng.h"

namespace fdi::nn {
namespace {

bool overlap(const Plan& plan, const std::vector<Interval>& v, size_t i, size_t j) {
  return plan.offsets[i] < plan.offsets[j] + v[j].floats && plan.offsets[j] < plan.offsets[i] + v[i].floats;
}
bool together(const Interval& a, const Interval& b) { return a.first <= b.last && b.first <= a.last; }

void expect_sound(const Plan& plan, const std::vector<Interval>& v) {
  ASSERT_EQ(plan.offsets.size(), v.size());
  for (size_t i = 0; i < v.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % 16, 0);
    EXPECT_LE(plan.offsets[i] + v[i].floats, plan.floats);
    for (size_t j = 0; j < i; ++j)
      EXPECT_FALSE(together(v[i], v[j]) && overlap(plan, v, i, j)) << i << " and " << j << " share memory while alive";
  }
}

TEST(Plan, EmptyIsEmpty) { EXPECT_EQ(plan_memory({}).floats, 0); }

TEST(Plan, ChainTakesTheTwoLargestNeighbours) {
  const std::vector<Interval> chain{{160, 0, 1}, {320, 1, 2}, {640, 2, 3}, {64, 3, 4}, {640, 4, 5}, {16, 5, 6}};
  const Plan plan = plan_memory(chain);
  expect_sound(plan, chain);
  EXPECT_EQ(plan.floats, 320 + 640);
}

TEST(Plan, DisjointLivesShareOnePlace) {
  const std::vector<Interval> v{{100, 0, 0}, {50, 1, 1}, {7, 2, 9}};
  EXPECT_EQ(plan_memory(v).floats, 112);  // rounded to a cache line
}

TEST(Plan, RandomLivesAreSoundAndNeverWorseThanNoSharing) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    core::Rng rng(seed, core::Stream::kTest);
    std::vector<Interval> v;
    int64_t sum = 0, peak = 0;
    for (int i = 0; i < 40; ++i) {
      const int first = static_cast<int>(rng.below(60));
      v.push_back({1 + rng.below(1000), first, first + static_cast<int>(rng.below(20))});
      sum += (v.back().floats + 15) / 16 * 16;
    }
    for (int t = 0; t < 80; ++t) {
      int64_t alive = 0;
      for (const Interval& i : v) alive += i.first <= t && t <= i.last ? i.floats : 0;
      peak = std::max(peak, alive);
    }
    const Plan plan = plan_memory(v);
    expect_sound(plan, v);
    EXPECT_LE(plan.floats, sum);
    EXPECT_GE(plan.floats, peak);
  }
}

}  // namespace
}  // namespace fdi::nn
