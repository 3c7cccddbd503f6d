// The search as a run: it goes on after a kill, its threshold rises, it stops where the loss is no number.
#include "compress/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compress/knapsack.h"
#include "core/error.h"
#include "core/threads.h"
#include "nn/builder.h"
#include "nn/zoo.h"
#include "tests/compress/search_setup.h"
#include "tests/nn/array_source.h"
#include "tests/temp_folder.h"

namespace fdi::compress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Ends the run when so many batches have been taken.
class Killed : public nn::ArraySource {
 public:
  explicit Killed(int batches) : ArraySource(90, {16, 16, 3}, 10, 16, true), left_(batches) {}
  bool next(nn::Batch& batch) override {
    if (left_-- == 0) core::fail("killed");
    return ArraySource::next(batch);
  }

 private:
  int left_;
};

TEST(Search, ResumesToTheSameNumbers) {
  const TempFolder folder;
  const nn::NetworkSpec spec = nn::small_network();
  const auto source = [] { return nn::ArraySource(90, {16, 16, 3}, 10, 16, true); };
  const auto costs_of = [](SearchState& state) {
    Costs costs{.objective = flops_objective(state.model.spec, state.groups)};
    if (state.config.find_lambda) costs.limits = {{costs.objective, 1e-9}};  // out of reach: the search runs to its end
    return costs;
  };
  SearchConfig config = quick();
  enum class Way { kCostSlope, kReward, kFound, kUnitSlopes };
  for (const Way way : {Way::kCostSlope, Way::kReward, Way::kFound, Way::kUnitSlopes}) {
    config.lambda = way == Way::kFound ? 0 : 0.01;
    config.find_lambda = way == Way::kFound;
    config.cost_as_reward = way == Way::kReward;
    config.by_slopes = way == Way::kUnitSlopes;
    SearchState straight(untrained(spec), config);
    {
      auto train = source();
      const Costs costs = costs_of(straight);
      Search(straight, costs).run(train, nullptr);
    }
    EXPECT_EQ(straight.iteration, 4 * 5);
    EXPECT_EQ(straight.history.size(), 4U);

    // Killed in its third stage.
    SearchState first(untrained(spec), config);
    {
      Killed train(way == Way::kUnitSlopes ? 12 : 23);
      const Costs costs = costs_of(first);
      Search search(first, costs, {.checkpoint = folder.path("c"), .progress = nullptr});
      EXPECT_THROW(search.run(train, nullptr), core::Error);
    }
    SearchState resumed = load_search(folder.path("c"));
    EXPECT_EQ(resumed.iteration, 2 * 5);
    EXPECT_EQ(resumed.model.metadata, first.model.metadata);
    {
      auto train = source();
      const Costs costs = costs_of(resumed);
      Search(resumed, costs).run(train, nullptr);
    }
    const auto a = straight.model.parameters.all(), b = resumed.model.parameters.all();
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
    const auto c = straight.compressor.parameters().all(), d = resumed.compressor.parameters().all();
    EXPECT_TRUE(std::equal(c.begin(), c.end(), d.begin()));
    EXPECT_EQ(straight.mean, resumed.mean);
    EXPECT_EQ(straight.dual, resumed.dual);
    EXPECT_EQ(straight.dual > 0, way == Way::kFound);
    EXPECT_EQ(straight.history.back().lambda, resumed.history.back().lambda);
    EXPECT_EQ(straight.history.back().widths, resumed.history.back().widths);
  }
}

// Every number, whatever the number of threads.
TEST(Search, ThreadsDoNotMatter) {
  const int before = core::threads();
  SearchConfig config = quick();
  config.lambda = 0.01;
  for (const bool by_slopes : {false, true}) {
    config.by_slopes = by_slopes;
    std::vector<float> weights, probabilities;
    for (const int threads : {1, 2, 3}) {
      core::set_threads(threads);
      SearchState state(untrained(nn::make_zoo("lenet", {.classes = 10, .input = {16, 16, 3}})), config);
      nn::ArraySource train(90, {16, 16, 3}, 10, 16, true);
      const Costs costs{.objective = flops_objective(state.model.spec, state.groups)};
      Search search(state, costs);
      search.run(train, nullptr);
      if (threads == 1) {
        probabilities = search.probabilities();
        weights.assign(state.model.parameters.all().begin(), state.model.parameters.all().end());
      }
      EXPECT_EQ(search.probabilities(), probabilities) << threads << " threads";
      EXPECT_TRUE(std::ranges::equal(state.model.parameters.all(), weights)) << threads << " threads";
    }
  }
  core::set_threads(before);
}

TEST(Search, TheThresholdRisesFromItsStartToItsEnd) {
  SearchConfig config = quick();
  config.stage_steps = 1;
  config.start = 0.9;
  config.threshold_start = 0.3;
  config.threshold_step = 0.25;
  config.threshold_end = 0.6;
  SearchState state(untrained(nn::small_network()), config);
  nn::ArraySource train(40, {16, 16, 3}, 10, 16, true);
  const Costs none;
  Search(state, none).run(train, nullptr);
  std::vector<double> thresholds;
  for (const StageRecord& record : state.history) thresholds.push_back(record.threshold);
  EXPECT_THAT(thresholds, ElementsAre(0.3, 0.55, 0.6));
}

TEST(Search, DamagedCheckpointsAreRefused) {
  const TempFolder folder;
  nn::Model model = untrained(nn::small_network());
  nn::save_model(folder.path("model"), model.spec, model.parameters, model.metadata);
  try {
    load_search(folder.path("model"));
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("is no checkpoint of a compression"));
  }
}

TEST(Search, ALossThatIsNoNumberStopsIt) {
  const TempFolder folder;
  SearchConfig config = quick();
  config.stage_steps = 2;  // 90 images are 6 batches, 2 of them an iteration: a pass is 3 iterations
  SearchState state(untrained(nn::small_network()), config);
  nn::ArraySource train(90, {16, 16, 3}, 10, 16, false);
  for (int64_t i = int64_t{80} * 16 * 16 * 3; i < int64_t{90} * 16 * 16 * 3; ++i) train.images()[i] = NAN;
  const Costs none;
  Search search(state, none, {.checkpoint = folder.path("c"), .progress = nullptr});
  try {
    search.run(train, nullptr);
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("iteration 3: the compressor's loss became nan"));
    EXPECT_THAT(e.what(), HasSubstr("c still holds iteration 2; lower the learning rate"));
  }
  EXPECT_EQ(load_search(folder.path("c")).iteration, 2);
}

// A batch norm behind a fully connected layer, and a last batch of one image.
TEST(Search, BatchesThatABatchNormCannotLearnFromAreRefusedFirst) {
  nn::SpecBuilder b("norm", {16, 16, 3});
  b.add(nn::Op::kFlatten, "flat");
  b.add(nn::Op::kFc, "fc1", {.units = 8});
  b.add(nn::Op::kBatchNorm, "bn1");
  b.add(nn::Op::kFc, "fc2", {.units = 10});
  const nn::NetworkSpec spec = b.take();
  nn::ArraySource train(33, spec.input, 10, 16, true);
  SearchState state(untrained(spec), quick());
  const Costs costs;
  const auto message = testing::ThrowsMessage<core::Error>(
      HasSubstr("[batch_norm bn1] wants more than one value per channel in training, but with --search-batch 16"));
  EXPECT_THAT([&] { Search(state, costs).run(train, nullptr); }, message);
  nn::Model model = untrained(spec);
  const TrainAndScore rounds = train_with_sgd(train, {.steps = 2, .batch = 16, .seed = 1});
  EXPECT_THAT([&] { rounds(model, nn::unit_groups(spec), 1); }, message);
  EXPECT_EQ(train.passes(), 0);
}

}  // namespace
}  // namespace fdi::compress
