// The search on problems whose answer is known: useless units go, a budget is kept, what is left is what was evaluated.
#include <gtest/gtest.h>

#include <algorithm>

#include "compress/search.h"
#include "compress/shrink.h"
#include "nn/trainer.h"
#include "tests/compress/search_setup.h"
#include "tests/nn/array_source.h"

namespace fdi::compress {
namespace {

using nn::Op;

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
                         [](const auto& way) { return way.param ? "BySlopes" : "ByScores"; });

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
  config.by_slopes = GetParam();
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
