// The search by its parts: masks, log-likelihood, baseline, cost; then as a whole on a problem with useless units.
#include "compress/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "compress/shrink.h"
#include "core/error.h"
#include "core/rng.h"
#include "nn/builder.h"
#include "nn/trainer.h"
#include "nn/zoo.h"
#include "tests/nn/array_source.h"
#include "tests/nn/deepsense_like.h"
#include "tests/temp_folder.h"

namespace fdi::compress {
namespace {

using nn::Op;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Masks, AreDrawnPerExampleAndUnit) {
  const std::vector<float> q{0, 1, 0.25F, 0.75F};
  constexpr int kExamples = 4000;
  const auto masks = draw_masks(q, kExamples, 1, 0);
  std::vector<double> mean(4);
  bool differ = false;
  for (int b = 0; b < kExamples; ++b)
    for (size_t u = 0; u < 4; ++u) {
      const float z = masks[static_cast<size_t>(b) * 4 + u];
      ASSERT_TRUE(z == 0 || z == 1);
      mean[u] += z;
      differ = differ || z != masks[u];
    }
  EXPECT_TRUE(differ);
  EXPECT_EQ(mean[0], 0);
  EXPECT_EQ(mean[1], kExamples);
  EXPECT_NEAR(mean[2], 0.25 * kExamples, 110);  // four standard deviations
  EXPECT_NEAR(mean[3], 0.75 * kExamples, 110);
  EXPECT_EQ(draw_masks(q, 5, 1, 0), draw_masks(q, 5, 1, 0));
  EXPECT_NE(draw_masks(q, 5, 1, 0), draw_masks(q, 5, 1, 1));
  EXPECT_NE(draw_masks(q, 5, 1, 0), draw_masks(q, 5, 2, 0));
}

TEST(Search, SoftensBelowTheThreshold) {
  const std::vector<float> p{0.2F, 0.5F, 0.8F};
  EXPECT_THAT(softened(p, 0.5, 0.5), ElementsAre(0.1F, 0.5F, 0.8F));
  EXPECT_THAT(softened(p, 0.5, 0), ElementsAre(0, 0.5F, 0.8F));
}

TEST(Search, NoGroupIsEverEmpty) {
  nn::UnitGroups groups;
  groups.groups = {{"a", {0}, 0, 2}, {"b", {1}, 2, 3}};
  const std::vector<float> p{0.6F, 0.1F, 0.2F, 0.4F, 0.3F};
  EXPECT_THAT(keep_at(groups, p, 0.5).units, ElementsAre(ElementsAre(0), ElementsAre(1)));
  EXPECT_THAT(keep_at(groups, p, 0.2F).units, ElementsAre(ElementsAre(0), ElementsAre(0, 1, 2)));
}

// Two examples, two units, by hand; and against differences of mean(advantage * log P).
TEST(Search, ScoreGradientByHand) {
  const std::vector<float> q{0.25F, 0.5F}, masks{1, 0, 0, 0};
  const std::vector<double> advantage{2, -1};
  const auto gradient = score_gradient(masks, q, advantage);
  EXPECT_DOUBLE_EQ(gradient[0], (2 * 4.0 - 1 * (-1 / 0.75)) / 2);
  EXPECT_DOUBLE_EQ(gradient[1], (2 * -2.0 - 1 * -2.0) / 2);
  const auto value = [&](double q0, double q1) {
    return (2 * (std::log(q0) + std::log(1 - q1)) - 1 * (std::log(1 - q0) + std::log(1 - q1))) / 2;
  };
  EXPECT_NEAR(gradient[0], (value(0.25 + 1e-5, 0.5) - value(0.25 - 1e-5, 0.5)) / 2e-5, 1e-6);
  EXPECT_NEAR(gradient[1], (value(0.25, 0.5 + 1e-5) - value(0.25, 0.5 - 1e-5)) / 2e-5, 1e-6);
  // A probability that rounding has brought to 0 or 1 gives a large number, but a number.
  for (const double g : score_gradient(std::vector<float>{1, 0}, std::vector<float>{0, 1}, std::vector<double>{1}))
    EXPECT_TRUE(std::isfinite(g));
}

// In each example the masked units are gone: its loss is that of the network whose rows are zero.
TEST(MaskedCritic, EveryExampleHasItsOwnStructure) {
  for (const nn::NetworkSpec& spec : {nn::make_zoo("lenet"), nn::make_zoo("resnet20", {.width = 0.25}),
                                      nn::deepsense_like(true), nn::deepsense_like(false)}) {
    const nn::UnitGroups groups = nn::unit_groups(spec);
    nn::Parameters parameters(spec);
    parameters.initialize(3);
    constexpr int kBatch = 3;
    MaskedCritic critic(spec, parameters, kBatch);
    const auto masks = draw_masks(std::vector<float>(static_cast<size_t>(groups.units()), 0.6F), kBatch, 1, 0);
    std::vector<float> images(static_cast<size_t>(kBatch * spec.input.size()));
    core::Rng rng(3, core::Stream::kTest);
    for (float& x : images) x = rng.normal();
    const std::vector<int> labels{1, 0, 2};
    critic.forward(masks, images.data(), labels, {}, false, 1, 0);
    const std::vector<double> losses(critic.losses().begin(), critic.losses().end());
    const std::vector<float> none(masks.size(), 1);
    critic.forward(none, images.data(), labels, {}, false, 1, 0);
    const std::vector<double> whole(critic.losses().begin(), critic.losses().end());
    for (size_t b = 0; b < kBatch; ++b) {
      nn::Parameters own(spec);
      std::copy(parameters.all().begin(), parameters.all().end(), own.all().begin());
      nn::scale_units(
          groups,
          std::span(masks).subspan(b * static_cast<size_t>(groups.units()), static_cast<size_t>(groups.units())), own);
      nn::Network network(spec, own, 1, nn::Mode::kTraining);
      std::copy_n(images.data() + static_cast<int64_t>(b) * spec.input.size(), spec.input.size(), network.input().data);
      nn::Pass pass;
      pass.batch = 1;
      nn::SoftmaxLoss loss(1, static_cast<int>(nn::output_shapes(spec).back().size()));
      EXPECT_NEAR(losses[b], loss.evaluate(network.forward(pass), std::span(labels).subspan(b, 1)).loss, 2e-5)
          << spec.name;
      EXPECT_NE(losses[b], whole[b]) << spec.name;
    }
  }
}

TEST(Objective, FlopsAndTheirSlope) {
  const nn::NetworkSpec spec = nn::make_zoo("lenet");
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const Objective flops = flops_objective(spec, groups);
  std::vector<int> widths = nn::group_counts(groups);
  const double all = flops.cost(widths);
  EXPECT_GT(all, 0.5);  // 10x10x16 outputs of 5x5x6 products alone are 0.48 MFLOP
  // FLOPs are linear in each width: the slope is exact at any distance.
  const std::vector<double> expected(widths.begin(), widths.end());
  const auto slope = cost_slope(flops, groups, expected);
  for (size_t g = 0; g < widths.size(); ++g) {
    --widths[g];
    EXPECT_NEAR(all - flops.cost(widths), slope[g], 1e-9 * all);
    ++widths[g];
  }
}

nn::Model untrained(const nn::NetworkSpec& spec) {
  nn::Parameters parameters(spec);
  parameters.initialize(1);
  return {spec, std::move(parameters), {{"classes", "[]"}}};
}

SearchConfig quick() {
  SearchConfig config;
  config.batch = 16;
  config.stage_steps = 5;
  config.threshold_step = 0.2;
  config.threshold_end = 0.6;
  return config;
}

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
  enum class Way { kSlope, kReward, kFound, kPaths };
  for (const Way way : {Way::kSlope, Way::kReward, Way::kFound, Way::kPaths}) {
    config.lambda = way == Way::kFound ? 0 : 0.01;
    config.find_lambda = way == Way::kFound;
    config.cost_as_reward = way == Way::kReward;
    config.by_paths = way == Way::kPaths;
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
      Killed train(way == Way::kPaths ? 12 : 23);
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

// One of eight inputs is on in each example; its number is the class.
class OneHot : public nn::BatchSource {
 public:
  static constexpr int kBatch = 64, kBatches = 20;
  int64_t examples() const override { return kBatch * kBatches; }
  int64_t batches() const override { return kBatches; }
  void start(int) override { at_ = 0; }
  bool next(nn::Batch& batch) override {
    if (at_++ == kBatches) return false;
    images_.assign(kBatch * 8, 0.0F);
    labels_.clear();
    for (int b = 0; b < kBatch; ++b) {
      labels_.push_back(b % 8);
      images_[static_cast<size_t>(b * 8 + b % 8)] = 1.5F;
    }
    batch = {.size = kBatch, .images = images_.data(), .labels = labels_, .lengths = {}};
    return true;
  }

 private:
  int at_ = 0;
  std::vector<float> images_;
  std::vector<int> labels_;
};

class SearchWay : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Gradient, SearchWay, testing::Bool(),
                         [](const auto& way) { return way.param ? "ByPaths" : "ByScores"; });

// Half of the hidden units are useless: their weights in and out are zero and stay small, while each of the others
// carries one of the classes. A compressor that learns drops mostly the former.
TEST_P(SearchWay, DropsUselessUnits) {
  constexpr int kUseful = 8, kUnits = 16;
  const nn::NetworkSpec spec{"half",
                             {1, 1, 8},
                             {{Op::kFlatten, "flat", {nn::LayerSpec::kInput}, {}},
                              {Op::kFc, "hidden", {0}, {.units = kUnits}},
                              {Op::kRelu, "relu", {1}, {}},
                              {Op::kFc, "out", {2}, {.units = kUseful}}}};
  nn::Parameters parameters(spec);
  for (int i = 0; i < kUseful; ++i) {  // unit 2 i passes input i on to class i
    parameters.tensor(*parameters.find("hidden.weight")).data[i * kUnits + 2 * i] = 2;
    parameters.tensor(*parameters.find("out.weight")).data[2 * i * kUseful + i] = 2;
  }
  OneHot train;
  SearchConfig config;
  config.stage_steps = 60;
  config.threshold_step = 0.1;
  config.threshold_end = 0.8;
  config.by_paths = GetParam();
  config.lambda = 0.004;  // without a cost nothing speaks against a useless unit
  SearchState state({spec, std::move(parameters), {}}, config);
  const Costs cost{.objective = {"units", "units", [](std::span<const int> widths) { return 10.0 * widths[0]; }}};
  Search search(state, cost);
  search.run(train, nullptr);
  const auto p = state.compressor.forward(state.model.parameters);
  double useful = 0, useless = 0;
  for (int u = 0; u < kUnits; ++u) (u % 2 == 0 ? useful : useless) += p[static_cast<size_t>(u)] / kUseful;
  EXPECT_GT(useful, useless + 0.2);
  const Keep keep = keep_at(state.groups, p, (useful + useless) / 2);
  const auto good = std::count_if(keep.units[0].begin(), keep.units[0].end(), [](int u) { return u % 2 == 0; });
  EXPECT_GE(good, 7);
  EXPECT_LE(std::ssize(keep.units[0]) - good, 1);
}

// A limit of a quarter of the hidden units, and no lambda: the weight of the cost rises until the units go.
TEST(Search, FindsLambdaForABudget) {
  constexpr int kUnits = 16;
  const nn::NetworkSpec spec{"wide",
                             {1, 1, 8},
                             {{Op::kFlatten, "flat", {nn::LayerSpec::kInput}, {}},
                              {Op::kFc, "hidden", {0}, {.units = kUnits}},
                              {Op::kRelu, "relu", {1}, {}},
                              {Op::kFc, "out", {2}, {.units = 8}}}};
  SearchConfig config;
  config.start = 0.9;
  config.threshold_start = 0.3;
  config.threshold_step = 0.05;
  config.threshold_end = 0.5;
  config.stage_steps = 60;
  const auto mean_p = [&](bool find) {
    config.find_lambda = find;
    SearchState state(untrained(spec), config);
    const Objective units{"units", "units", [](std::span<const int> widths) { return 10.0 * widths[0]; }};
    const Costs costs{.objective = units, .limits = {{units, 10.0 * kUnits / 4}}};
    OneHot train;
    Search search(state, costs);
    search.run(train, nullptr);
    double sum = 0;
    for (const float p : search.probabilities()) sum += p / kUnits;
    EXPECT_EQ(state.dual > 0, find);
    return sum;
  };
  const double free = mean_p(false), found = mean_p(true);
  EXPECT_LT(found, free - 0.15);
}

TEST(Search, StopsAtTheTargetAndShrinksToWhatItEvaluated) {
  SearchConfig config = quick();
  config.threshold_step = 0.05;
  SearchState state(untrained(nn::small_network()), config);
  nn::ArraySource train(90, {16, 16, 3}, 10, 16, true), validation(40, {16, 16, 3}, 10, 16, false, 4);
  const Costs half{.limits = {{size_objective(state.model.spec, state.groups), 0.5}}};
  Search search(state, half);
  search.run(train, &validation);
  ASSERT_FALSE(state.history.empty());
  EXPECT_LE(state.history.back().size, 0.5);
  for (size_t i = 0; i + 1 < state.history.size(); ++i) EXPECT_GT(state.history[i].size, 0.5);
  EXPECT_GE(state.history.back().accuracy, 0);
  const Keep keep = choose_by_probability(state.groups, search.probabilities(), largest_share(half.limits), 1);
  const nn::Model small = search.shrunk(keep);
  const auto part =
      static_cast<double>(small.parameters.all().size()) / static_cast<double>(state.model.parameters.all().size());
  EXPECT_LE(part, 0.5);
  EXPECT_GT(part, 0.48) << "the threshold between the stages is found, and what fits beside it";
  EXPECT_EQ(small.metadata, state.model.metadata);

  // Scaled by the probabilities, then fine-tuned like any network.
  nn::TrainConfig tune;
  tune.epochs = 1;
  tune.batch = 16;
  nn::TrainState tuned(small.spec, tune);
  std::copy(small.parameters.all().begin(), small.parameters.all().end(), tuned.parameters.all().begin());
  nn::Trainer(tuned, {}).run(train, nullptr);
  EXPECT_EQ(tuned.history.size(), 1U);
}

}  // namespace
}  // namespace fdi::compress
