// From a whole network to a small one that keeps its budget, by search and by rounds: for a chain, a residual network
// and two with branches, joints and recurrent layers.
#include <gtest/gtest.h>

#include <cmath>

#include "compress/knapsack.h"
#include "compress/search.h"
#include "compress/shrink.h"
#include "nn/evaluate.h"
#include "nn/zoo.h"
#include "tests/compress/search_setup.h"
#include "tests/nn/array_source.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

TEST(WholeWay, EveryKindOfNetworkKeepsItsBudget) {
  for (const bool by_slopes : {false, true})
    for (const nn::NetworkSpec& spec :
         {nn::make_zoo("vgg16", {.width = 0.06}), nn::make_zoo("resnet20", {.width = 0.25}), nn::deepsense_like(true),
          nn::deepsense_like(false)}) {
      const core::Shape in = spec.input.rank == 3 ? spec.input : core::Shape{spec.input[0], spec.input[1], 1};
      const int classes = static_cast<int>(nn::output_shapes(spec).back().size());
      nn::ArraySource train(48, in, classes, 16, true);
      SearchConfig config = quick();
      config.find_lambda = true;
      config.by_slopes = by_slopes;
      SearchState state(untrained(spec), config);
      const Objective flops = flops_objective(spec, state.groups);
      const double budget = 0.5 * flops.cost(nn::group_counts(state.groups));
      const Costs costs{.objective = flops, .limits = {{flops, kSearchRoom * budget}}};
      Search search(state, costs);
      search.run(train, nullptr);
      const Keep wide = choose_by_probability(state.groups, search.probabilities(), flops.cost, kSearchRoom * budget);
      EXPECT_LE(flops.cost(widths_of(wide)), kSearchRoom * budget) << spec.name;

      Pruned pruned = unpruned(search.shrunk(wide));
      prune_under_budget(pruned, flops.cost, budget, 3, train_with_sgd(train, {.steps = 2, .batch = 16, .lr = 0.001}));
      const Keep last = choose_under_budget(pruned.groups, pruned.score, flops.cost, budget);
      const nn::Model small = shrink(pruned.model, pruned.groups, last);
      EXPECT_LE(flops.cost(widths_of(last)), budget) << spec.name;
      EXPECT_EQ(small.spec, nn::with_widths(spec, state.groups, widths_of(last))) << spec.name;
      const Keep own = kept_of(wide, kept_of(pruned.keep, last));  // of the original's units
      EXPECT_EQ(widths_of(own), widths_of(last));
      for (size_t g = 0; g < own.units.size(); ++g) {
        EXPECT_TRUE(std::ranges::is_sorted(own.units[g], std::less_equal{})) << "each unit once";
        EXPECT_LT(own.units[g].back(), state.groups.groups[g].count);
      }
      nn::ArraySource test(24, in, classes, 8, false, 9);
      EXPECT_TRUE(std::isfinite(nn::evaluate(small.spec, small.parameters, 8, test).loss)) << spec.name;
    }
}

// Stopped after any round and gone on from there: the same units, the same weights.
TEST(WholeWay, RoundsGoOnFromAnyOfThem) {
  const nn::NetworkSpec spec = nn::small_network();
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const Cost flops = flops_objective(spec, groups).cost;
  const double budget = 0.4 * flops(nn::group_counts(groups));
  nn::ArraySource source(40, spec.input, 10, 16, true);  // three batches a pass: rounds end within one
  const auto train = [&] { return train_with_sgd(source, {.steps = 4, .batch = 16}); };
  std::vector<Pruned> after;
  Pruned whole = unpruned(untrained(spec));
  prune_under_budget(whole, flops, budget, 5, train(), [&] {
    after.push_back({{whole.model.spec, copy_of(whole.model), {}}, whole.groups, whole.keep, {}, whole.rounds});
  });
  ASSERT_EQ(after.size(), 4U);
  for (Pruned& again : after) {
    prune_under_budget(again, flops, budget, 5, train());
    EXPECT_EQ(again.keep, whole.keep);
    EXPECT_EQ(again.score, whole.score);
    EXPECT_TRUE(std::ranges::equal(again.model.parameters.all(), whole.model.parameters.all()));
  }
}

}  // namespace
}  // namespace fdi::compress
