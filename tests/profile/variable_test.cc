// Learned variables: planted steps and bounds come back out of noisy times, and nothing that is not there.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "profile/op_model.h"
#include "profile/variable_search.h"
#include "tests/profile/planted.h"

namespace fdi::profile {
namespace {

double up(double n, int step) { return std::ceil(n / step) * step; }

std::vector<Variable> learned(const SampleSet& set, FitCost* cost = nullptr) {
  FitCost own;
  const std::vector<const Sample*> samples = pointers(set);
  return learn_variables(set.samples[0].component.layer.op, observe(samples), Weighting::kRelative,
                         cost == nullptr ? own : *cost);
}

int step_of(const std::vector<Variable>& variables, Field field, Axis axis) {
  for (const Variable& v : variables)
    if (v.field == field) return v.granularity[axis];
  return 0;
}

TEST(Variable, RoundsTheShapeUp) {
  const Structure conv = structure_of(conv_component(7, 10, 3, 17));
  Variable v{.field = Field::kFlops};
  EXPECT_EQ(value(v, conv), 2.0 * 70 * 9 * 3 * 17);
  v.granularity[Axis::kOutChannel] = 16;
  v.granularity[Axis::kInChannel] = 4;
  EXPECT_NEAR(value(v, conv), 2.0 * 70 * 9 * 4 * 32, 1e-6);
  v.granularity[Axis::kOutHeight] = 4;
  v.granularity[Axis::kPixels] = 14;  // 8 x 10 = 80 pixels, 84 in steps of 14
  EXPECT_NEAR(value(v, conv), 2.0 * 84 * 9 * 4 * 32, 1e-6);
  const Structure gru = structure_of(dims_component(nn::Op::kGru, 100, 30, 5));
  Variable hidden{.field = Field::kHiddenFlops};
  EXPECT_NEAR(value(hidden, gru), 2.0 * 5 * 3 * 30 * 30, 1e-6);
  hidden.granularity[Axis::kOutChannel] = 16;
  EXPECT_NEAR(value(hidden, gru), 2.0 * 5 * 3 * 32 * 32, 1e-6);
  const Variable input{.field = Field::kInputFlops};
  EXPECT_NEAR(value(hidden, gru) + value(input, gru), 2.0 * 5 * 3 * (32 * 32 + 30 * 100), 1e-6);
}

TEST(Variable, CountsOnlyAboveItsBound) {
  device::Component c = conv_component(8, 8, 4, 4);
  const Variable v{.field = Field::kMemIn, .gate = {.above = 1e6}};
  EXPECT_EQ(value(v, structure_of(c)), 0);
  c.network_bytes = 1000000;
  EXPECT_EQ(value(v, structure_of(c)), 0);
  c.network_bytes = 1000001;
  EXPECT_EQ(value(v, structure_of(c)), 256);
}

TEST(Variable, CountsTheShareBeyondItsBound) {
  device::Component c = conv_component(8, 8, 4, 4);
  const Variable v{.field = Field::kMemIn, .gate = {.above = 1e6, .beyond = true}};
  c.network_bytes = 1000000;
  EXPECT_EQ(value(v, structure_of(c)), 0);
  c.network_bytes = 4000000;
  EXPECT_EQ(value(v, structure_of(c)), 256 * 0.75);
  EXPECT_EQ(describe(nn::Op::kConv2d, v), "mem_in (the share of the network beyond 1 MB)");
  const Law law{{v}, {0.5}, 1};
  EXPECT_EQ(law_from_json(nn::Op::kConv2d, law_to_json(nn::Op::kConv2d, law), "test").variables, law.variables);
}

TEST(Variable, CountsOnlyWhereAVectorIsPartlyFilled) {
  const Variable v{.field = Field::kMemOut, .gate = {.field = Field::kOutChannel, .no_multiple_of = 16}};
  EXPECT_EQ(value(v, structure_of(conv_component(8, 8, 4, 64))), 0);
  EXPECT_EQ(value(v, structure_of(conv_component(8, 8, 4, 63))), 64 * 63);
  EXPECT_EQ(describe(nn::Op::kConv2d, v), "mem_out (where out_channel is no multiple of 16)");
  const Law law{{v}, {0.5}, 1};
  const Law again = law_from_json(nn::Op::kConv2d, law_to_json(nn::Op::kConv2d, law), "test");
  EXPECT_EQ(again.variables, law.variables);
}

// 64 channels are faster than 63.
TEST(VariableSearch, FindsWhatAPartlyFilledVectorCosts) {
  const auto time = [](const Structure& s) {
    const bool full = std::fmod(s[Field::kOutChannel], 16) == 0;
    const double rounded = up(s[Field::kOutChannel], 16) / s[Field::kOutChannel];
    return 2e-5 * s[Field::kFlops] * rounded + (full ? 0 : 0.02 * s[Field::kMemOut]) + 5;
  };
  core::Rng rng(5, core::Stream::kTest);
  SampleSet set;
  for (int i = 0; i < 600; ++i)  // half of the widths are whole vectors, as a profile draws them
    set.samples.push_back(timed(conv_component(draw(rng, 2, 20), draw(rng, 2, 20), draw(rng, 1, 64),
                                               i % 2 ? 16 * draw(rng, 1, 8) : draw(rng, 1, 128)),
                                time, rng, 0.01));
  const std::vector<Variable> variables = learned(set);
  const auto found =
      std::find_if(variables.begin(), variables.end(), [](const Variable& v) { return v.gate.no_multiple_of > 0; });
  ASSERT_NE(found, variables.end());
  EXPECT_EQ(found->gate.field, Field::kOutChannel);
  EXPECT_EQ(found->gate.no_multiple_of, 16);
  EXPECT_EQ(step_of(variables, Field::kFlops, Axis::kOutChannel), 16);
}

TEST(VariableSearch, FindsTheStepOfAnAxis) {
  for (const int step : {4, 16, 24}) {
    const auto time = [&](const Structure& s) {
      return 2e-5 * s[Field::kFlops] * up(s[Field::kOutChannel], step) / s[Field::kOutChannel] + 20;
    };
    const std::vector<Variable> variables = learned(planted_convs(600, time, 0.02));
    ASSERT_EQ(variables.size(), 1U) << step;
    EXPECT_EQ(describe(nn::Op::kConv2d, variables[0]), fmt::format("FLOPs (out_channel in steps of {})", step));
  }
}

TEST(VariableSearch, FindsStepsOfTwoAxes) {
  const auto time = [](const Structure& s) {
    const double pixels = up(s[Field::kPixels], 14), out = up(s[Field::kOutChannel], 32);
    return 2e-5 * 2 * pixels * out * s[Field::kPatch] + 1e-3 * s[Field::kMemInter] + 2;
  };
  core::Rng rng(2, core::Stream::kTest);
  SampleSet set;
  for (int i = 0; i < 800; ++i)
    set.samples.push_back(
        timed(conv_component(draw(rng, 2, 9), draw(rng, 2, 9), draw(rng, 1, 256), draw(rng, 1, 256)), time, rng, 0.01));
  const std::vector<Variable> variables = learned(set);
  EXPECT_EQ(step_of(variables, Field::kFlops, Axis::kOutChannel), 32);
  EXPECT_EQ(step_of(variables, Field::kFlops, Axis::kPixels), 14);
}

// Convolutions of networks from 1 to 40 MB.
template <class Time>
SampleSet of_networks(uint64_t seed, const Time& time) {
  core::Rng rng(seed, core::Stream::kTest);
  SampleSet set;
  for (int i = 0; i < 600; ++i) {
    device::Component c = conv_component(draw(rng, 2, 9), draw(rng, 2, 9), draw(rng, 1, 256), draw(rng, 1, 256));
    c.network_bytes = int64_t{1000000} * draw(rng, 1, 40);
    set.samples.push_back(timed(c, time, rng, 0.01));
  }
  return set;
}

TEST(VariableSearch, FindsWhereMemoryIsFarther) {
  const auto time = [](const Structure& s) {
    const double far = s[Field::kNetworkBytes] > 20e6 ? 4e-4 * s[Field::kParamSize] : 0;
    return 2e-5 * s[Field::kFlops] + far + 5;
  };
  const std::vector<Variable> variables = learned(of_networks(4, time));
  const auto found =
      std::find_if(variables.begin(), variables.end(), [](const Variable& v) { return v.gate.above >= 0; });
  ASSERT_NE(found, variables.end());
  EXPECT_EQ(found->field, Field::kParamSize);
  EXPECT_EQ(found->gate.field, Field::kNetworkBytes);
  EXPECT_NEAR(found->gate.above, 20e6, 2e6);
}

// Of a network that goes round in a cache, what does not fit comes from memory.
TEST(VariableSearch, FindsWhatDoesNotFitACache) {
  const auto time = [](const Structure& s) {
    const double share = std::max(0.0, 1 - 10e6 / s[Field::kNetworkBytes]);
    return 2e-5 * s[Field::kFlops] + 4e-4 * share * s[Field::kParamSize] + 5;
  };
  const std::vector<Variable> variables = learned(of_networks(6, time));
  const auto found = std::find_if(variables.begin(), variables.end(), [](const Variable& v) { return v.gate.beyond; });
  ASSERT_NE(found, variables.end());
  EXPECT_EQ(found->field, Field::kParamSize);
  EXPECT_EQ(found->gate.field, Field::kNetworkBytes);
  EXPECT_NEAR(found->gate.above, 10e6, 2e6);
}

// Where nothing is rounded and nothing cached, nothing of the kind is found.
TEST(VariableSearch, FindsNothingThatIsNotThere) {
  const auto time = [](const Structure& s) { return 2e-5 * s[Field::kFlops] + 1e-2 * s[Field::kMemIn] + 50; };
  for (const uint64_t seed : {1, 2, 3}) {
    for (const Variable& v : learned(planted_convs(500, time, 0.05, seed))) {
      EXPECT_EQ(v.granularity, Granularity{}) << describe(nn::Op::kConv2d, v);
      EXPECT_LT(v.gate.above, 0) << describe(nn::Op::kConv2d, v);
      EXPECT_EQ(v.gate.no_multiple_of, 0) << describe(nn::Op::kConv2d, v);
    }
  }
}

// Times of four terms, one in whole vectors of channels, one of what a cache does not hold.
double vectors_and_memory(const Structure& s) {
  const double far = std::max(0.0, 1 - 10e6 / s[Field::kNetworkBytes]);
  return 2e-5 * s[Field::kFlops] * up(s[Field::kOutChannel], 16) / s[Field::kOutChannel] + 2e-4 * s[Field::kMemInter] +
         4e-4 * far * s[Field::kParamSize] + 5;
}

// What each part of the samples finds, and more that is not there: the true variables stay.
TEST(VariableSearch, KeepsTheMostTellingOfSeveralSearches) {
  const SampleSet set = of_networks(7, vectors_and_memory);
  const std::vector<const Sample*> samples = pointers(set);
  const std::vector<Observation> all = observe(samples);
  FitCost cost;
  std::vector<Found> found;
  for (size_t part = 0; part < 4; ++part)
    found.push_back(
        learn_eagerly(nn::Op::kConv2d, std::span(all).subspan(part * 150, 150), Weighting::kRelative, cost));
  std::vector<Variable> meaningless;
  for (const int step : {3, 6, 14, 24, 48})
    for (const Field field : {Field::kMemOut, Field::kPixels, Field::kTaps}) {
      meaningless.push_back({.field = field});
      meaningless.back().granularity[Axis::kOutWidth] = step;
    }
  found.push_back({{}, meaningless});
  const std::vector<Variable> told = most_telling(nn::Op::kConv2d, found, all, Weighting::kRelative, cost);
  EXPECT_LE(told.size(), 12U);
  EXPECT_EQ(step_of(told, Field::kFlops, Axis::kOutChannel), 16);
  for (const Variable& v : told)
    EXPECT_EQ(std::count(meaningless.begin(), meaningless.end(), v), 0) << describe(nn::Op::kConv2d, v);
}

// Of 60 samples a careful search finds the steps once in four times, and the fit is 11% off. The folds find them six
// times in seven: which ones they miss changes with the last digit of a time, and so with the compiler.
TEST(OpModel, FindsStepsInFewSamples) {
  const auto time = [](const Structure& s) {
    const double far = std::max(0.0, 1 - 10e6 / s[Field::kNetworkBytes]);
    return 1e-5 * s[Field::kFlops] * up(s[Field::kOutChannel], 16) / s[Field::kOutChannel] +
           1e-3 * s[Field::kMemInter] + 4e-4 * far * s[Field::kParamSize] + 5e-3 * s[Field::kMemOut] +
           0.2 * s[Field::kInChannel] + 5;
  };
  const SampleSet other = of_networks(100, time);
  const std::vector<Observation> held_out = observe(pointers(other));
  constexpr int kTries = 8;
  double error = 0;
  int found = 0;
  for (uint64_t seed = 11; seed < 11 + kTries; ++seed) {
    SampleSet set = of_networks(seed, time);
    set.samples.resize(60);
    const Tree tree = fit_tree(observe(pointers(set)), FitOptions{});
    const std::vector<Variable>& variables = tree.nodes[0].law.variables;
    const auto rounded = [](const Variable& v) { return v.granularity[Axis::kOutChannel] == 16; };
    found += std::any_of(variables.begin(), variables.end(), rounded) ? 1 : 0;
    for (const Observation& o : held_out) error += std::abs(tree.predict(o.structure) / o.us - 1);
  }
  EXPECT_GE(found, kTries - 1);
  EXPECT_LT(error / kTries / static_cast<double>(held_out.size()), 0.05);
}

// The search multiplies columns; it never goes through the samples for a fit of its own.
TEST(VariableSearch, CostIsBounded) {
  FitCost cost;
  const auto time = [](const Structure& s) {
    return 2e-5 * s[Field::kFlops] + 1e-3 * s[Field::kMemInter] + 3e-3 * s[Field::kMemOut] + 5;
  };
  learned(planted_convs(1300, time, 0.05), &cost);
  EXPECT_EQ(cost.gram_rows, 0);
  EXPECT_LT(cost.solves, 5000);  // of most candidates a bound is enough
  EXPECT_LT(cost.products, 100000);
  EXPECT_GT(cost.products, cost.solves);
}

TEST(OpModel, GranularTreeFindsWhatPapersVariablesCannot) {
  const auto time = [](const Structure& s) {
    const double slow = std::fmod(s[Field::kInChannel], 4) == 0 ? 1 : 1.5;
    return slow * 2e-5 * s[Field::kFlops] * up(s[Field::kOutChannel], 16) / s[Field::kOutChannel] + 20;
  };
  const SampleSet set = planted_convs(1000, time, 0.02);
  const std::vector<const Sample*> samples = pointers(set);
  const OpModel granular = OpModel::fit(nn::Op::kConv2d, samples, {});
  const OpModel paper = OpModel::fit(nn::Op::kConv2d, samples, {.features = Features::kPaper});
  EXPECT_LT(granular.quality().mape, 0.025);
  EXPECT_LT(granular.quality().mape, paper.quality().mape);
  EXPECT_NE(granular.rules().find("in_channel is a multiple of 4"), std::string::npos) << granular.rules();
  EXPECT_NE(granular.rules().find("out_channel in steps of 16"), std::string::npos) << granular.rules();
}

}  // namespace
}  // namespace fdi::profile
