// The joint optimum of tables that share variables, against all combinations.
#include "compress/elimination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/rng.h"

namespace fdi::compress {
namespace {

using testing::ElementsAre;

TEST(Elimination, AgreesWithAllCombinations) {
  core::Rng rng(1, core::Stream::kTest);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> choices, all;
    for (int v = 0; v < 5; ++v) {
      choices.push_back(1 + static_cast<int>(rng.below(4)));
      all.push_back(v);
    }
    std::vector<CostTable> tables;
    for (int t = 0; t < 6; ++t) {
      CostTable table;
      for (int v = 0; v < 5; ++v)
        if (rng.uniform() < 0.4F) table.variables.push_back(v);
      if (table.variables.empty()) continue;
      // Whole numbers: sums are exact, equal ones occur.
      for (size_t i = table_size(choices, table.variables, 1000); i-- > 0;)
        table.cost.push_back(static_cast<double>(rng.below(10)));
      tables.push_back(std::move(table));
    }
    const auto sum = [&](const std::vector<int>& choice) {
      double cost = 0;
      for (const CostTable& table : tables) {
        size_t index = 0;
        for (const int v : table.variables)
          index = index * static_cast<size_t>(choices[static_cast<size_t>(v)]) +
                  static_cast<size_t>(choice[static_cast<size_t>(v)]);
        cost += table.cost[index];
      }
      return cost;
    };
    double least = 1e9;
    std::vector<int> choice(5);
    do least = std::min(least, sum(choice));
    while (next_choice(choices, all, choice));
    const auto found = least_sum(choices, tables);
    ASSERT_TRUE(found);
    EXPECT_EQ(sum(*found), least);
  }
}

TEST(Elimination, TheSmallerOfEqualChoicesAndALimit) {
  const std::vector<int> choices{3, 3, 3};
  EXPECT_THAT(least_sum(choices, {{{0}, {1, 1, 1}}, {{1}, {2, 1, 1}}}).value(), ElementsAre(0, 1, 0));
  const std::vector<CostTable> triangle{
      {{0, 1}, std::vector<double>(9)}, {{1, 2}, std::vector<double>(9)}, {{0, 2}, std::vector<double>(9)}};
  EXPECT_TRUE(least_sum(choices, triangle, 27));
  EXPECT_FALSE(least_sum(choices, triangle, 26));
}

}  // namespace
}  // namespace fdi::compress
