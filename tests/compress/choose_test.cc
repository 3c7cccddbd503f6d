// Choosing units under a budget: against all choices on small cases, with costs that have steps.
#include "compress/choose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"

namespace fdi::compress {
namespace {

using testing::ElementsAre;

nn::UnitGroups groups_of(const std::vector<int>& counts) {
  nn::UnitGroups groups;
  int first = 0;
  for (const int count : counts) {
    groups.groups.push_back({std::string(1, static_cast<char>('a' + groups.groups.size())), {0}, first, count});
    first += count;
  }
  return groups;
}

double worth_of(const Keep& keep, const nn::UnitGroups& groups, std::span<const double> score) {
  double worth = 0;
  const std::vector<bool> kept = kept_units(keep, groups);
  for (size_t u = 0; u < kept.size(); ++u) worth += kept[u] ? score[u] : 0;
  return worth;
}

// The most that any widths under the budget are worth.
double most_worth(const nn::UnitGroups& groups, std::span<const double> score, const Cost& cost, double budget) {
  std::vector<int> widths(groups.groups.size(), 1);
  double most = 0;
  for (;;) {
    if (cost(widths) <= budget) most = std::max(most, worth_of(best_units(groups, score, widths), groups, score));
    size_t g = 0;
    while (g < widths.size() && widths[g] == groups.groups[g].count) widths[g++] = 1;
    if (g == widths.size()) return most;
    ++widths[g];
  }
}

int rounded_up(int width, int to) { return (width + to - 1) / to * to; }

TEST(Choose, KeepsTheBestOfEachGroup) {
  const nn::UnitGroups groups = groups_of({3, 2});
  const std::vector<double> score{0.1, 0.9, 0.5, 0.4, 0.4};
  EXPECT_THAT(best_units(groups, score, std::vector<int>{2, 1}).units, ElementsAre(ElementsAre(1, 2), ElementsAre(0)));
}

TEST(Choose, CheapUnitsBeforeDearOnes) {
  const nn::UnitGroups groups = groups_of({4, 4});
  const std::vector<double> score(8, 1.0);
  const Cost cost = [](std::span<const int> w) { return 1.0 * w[0] + 3.0 * w[1]; };
  EXPECT_THAT(widths_of(choose_under_budget(groups, score, cost, 8)), ElementsAre(4, 1));
  EXPECT_EQ(choose_under_budget(groups, score, cost, 16), keep_all(groups)) << "all of them fit";
}

// Steps of four: what the budget pays for in part is not left lying.
TEST(Choose, WidthsThatCostNothingAreTaken) {
  const nn::UnitGroups groups = groups_of({16, 16});
  std::vector<double> score;
  for (int u = 0; u < 32; ++u) score.push_back(1.0 + 0.01 * u);
  const Cost cost = [](std::span<const int> w) { return 1.0 * rounded_up(w[0], 4) + rounded_up(w[1], 8); };
  const std::vector<int> widths = widths_of(choose_under_budget(groups, score, cost, 21, std::vector<int>{3, 9}));
  EXPECT_THAT(widths, ElementsAre(4, 16)) << "3 and 9 cost as much as 4 and 16";
}

// Wider is faster: one channel takes longer than a whole vector of them.
TEST(Choose, TheLeastIsNotAlwaysOne) {
  const nn::UnitGroups groups = groups_of({20, 5});
  const Cost cost = [](std::span<const int> w) { return (w[0] % 8 == 0 ? 1.0 : 2.0) * w[0] / 4.0 + w[1] + 9.0 / w[0]; };
  EXPECT_THAT(cheapest_widths(groups, cost), ElementsAre(8, 1));
  EXPECT_THAT(widths_of(choose_under_budget(groups, std::vector<double>(25, 1.0), cost, 4)), ElementsAre(8, 1))
      << "the least there is, 4.125";
  EXPECT_THAT(widths_of(choose_under_budget(groups, std::vector<double>(25, 1.0), cost, 4.2)), ElementsAre(8, 1));
}

// Two layers in a row, both widths rounded up, on random scores: never above the budget, nothing more fits, and what
// a greedy choice leaves behind of the best one is little on average.
TEST(Choose, AgainstAllChoices) {
  double sum = 0;
  constexpr int kCases = 40;
  for (int seed = 1; seed <= kCases; ++seed) {
    core::Rng rng(static_cast<uint64_t>(seed), core::Stream::kTest);
    const nn::UnitGroups groups = groups_of({6, 9, 7});
    std::vector<double> score;
    for (int u = 0; u < groups.units(); ++u) score.push_back(rng.uniform());
    const int step = 1 + static_cast<int>(rng.below(4));
    const Cost cost = [step](std::span<const int> w) {
      const int a = rounded_up(w[0], step), b = rounded_up(w[1], step);
      return 2.0 * a + 0.5 * a * b + 1.0 * b * w[2] + 3.0 * w[2];
    };
    const double budget =
        cost(std::vector<int>{1, 1, 1}) + (0.2 + 0.6 * rng.uniform()) * cost(std::vector<int>{6, 9, 7});
    const Keep keep = choose_under_budget(groups, score, cost, budget);
    std::vector<int> widths = widths_of(keep);
    EXPECT_LE(cost(widths), budget) << seed;
    EXPECT_EQ(keep, choose_under_budget(groups, score, cost, budget)) << seed;
    for (size_t g = 0; g < widths.size(); ++g)
      for (int w = widths[g] + 1; w <= groups.groups[g].count; ++w) {
        std::vector<int> wider = widths;
        wider[g] = w;
        EXPECT_GT(cost(wider), budget) << seed;
      }
    const double part = worth_of(keep, groups, score) / most_worth(groups, score, cost, budget);
    EXPECT_GE(part, 0.7) << seed;
    sum += part;
  }
  EXPECT_GE(sum / kCases, 0.93);
}

}  // namespace
}  // namespace fdi::compress
