// Masks from outside: what a masked unit's readers see, and the gradients around it.
#include <gtest/gtest.h>

#include <numeric>

#include "nn/unit_groups.h"
#include "tests/nn/deepsense_like.h"
#include "tests/nn/gradient_check.h"

namespace fdi::nn {
namespace {

TEST(Mask, MultipliesChannelsOfEachExample) {
  const NetworkSpec spec = single(Op::kMask, {2, 1, 3});
  Parameters parameters(spec);
  Network network(spec, parameters, 2, Mode::kTraining);
  std::iota(network.input().data, network.input().data + 12, 1.0F);
  const std::vector<float> factor{0, 1, 2, 1, 0, 0.5F};
  const float* const masks[] = {factor.data()};
  Pass pass;
  pass.batch = 2;
  pass.masks = masks;
  const auto y = network.forward(pass).span();
  EXPECT_EQ(std::vector<float>(y.begin(), y.end()), (std::vector<float>{0, 2, 6, 0, 5, 12, 7, 0, 4.5F, 10, 0, 6}));
  pass.masks = {};
  EXPECT_EQ(network.forward(pass).data[0], 1);
}

TEST(Mask, GradientsOfMasksAndMaskedStates) {
  for (const Op op : {Op::kGru, Op::kLstm}) {
    for (const bool reset_after : {false, true}) {
      const NetworkSpec spec{"masked",
                             {4, 3},
                             {{Op::kFc, "fc", {LayerSpec::kInput}, {.units = 5}},
                              {Op::kMask, "mask", {0}, {}},
                              {op, "rnn", {1}, {.units = 4, .reset_after = reset_after}},
                              {Op::kFc, "out", {2}, {.units = 3}}}};
      GradientCheck check(spec, 2);
      const std::vector<float> first{1, 0, 0.5F, 1, 0, 0, 1, 1, 1, 0}, state{1, 0, 1, 1, 0, 1, 1, 0};
      const float* const masks[] = {nullptr, first.data(), state.data(), nullptr};
      check.pass.masks = masks;
      const std::vector<int> lengths{4, 2};
      check.pass.lengths = lengths;
      EXPECT_LT(check.worst_of_parameters(), GradientCheck::kTolerance);
      EXPECT_LT(check.worst_of_input(), GradientCheck::kTolerance);
    }
  }
}

// A unit whose state is masked is, for all others, as if its rows were zero.
TEST(Mask, AMaskedStateIsAUnitThatNobodyReads) {
  for (const Op op : {Op::kGru, Op::kLstm}) {
    const NetworkSpec spec{
        "masked", {6, 3}, {{op, "rnn", {LayerSpec::kInput}, {.units = 5}}, {Op::kFc, "out", {0}, {.units = 3}}}};
    Parameters parameters(spec);
    parameters.initialize(2);
    Network network(spec, parameters, 3, Mode::kTraining);
    fill(network.input().span(), 4);
    std::vector<float> state;
    for (int b = 0; b < 3; ++b) state.insert(state.end(), {1, 0, 1, 0, 1});
    const float* const masks[] = {state.data(), nullptr};
    Pass pass;
    pass.batch = 3;
    pass.masks = masks;
    const auto y = network.forward(pass).span();
    const std::vector<float> by_mask(y.begin(), y.end());
    scale_units(unit_groups(spec), std::span(state).first(5), parameters);
    pass.masks = {};
    const auto scaled = network.forward(pass).span();
    for (size_t i = 0; i < by_mask.size(); ++i) EXPECT_FLOAT_EQ(by_mask[i], scaled[i]);
  }
}

}  // namespace
}  // namespace fdi::nn
