// conv2d, fc, slice, concat, add, flatten, reshape: forward by hand, numeric gradients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nn/builder.h"
#include "nn/summary.h"
#include "tests/nn/gradient_check.h"

namespace fdi::nn {
namespace {

using ::testing::ElementsAre;

NetworkSpec single(const Shape& input, Op op, const Attributes& attr) {
  SpecBuilder b("single", input);
  b.add(op, "layer", attr);
  return b.take();
}

std::vector<float> run(const NetworkSpec& spec, const std::vector<float>& weights, const std::vector<float>& x,
                       Mode mode = Mode::kTraining) {
  Parameters parameters(spec);
  EXPECT_EQ(parameters.all().size(), weights.size());
  std::copy(weights.begin(), weights.end(), parameters.all().begin());
  const int batch = static_cast<int>(x.size() / static_cast<size_t>(spec.input.size()));
  Network network(spec, parameters, batch, mode);
  std::copy(x.begin(), x.end(), network.input().data);
  Pass pass;
  pass.batch = batch;
  const Tensor y = network.forward(pass);
  return {y.data, y.data + y.size()};
}

TEST(Conv2d, ByHand) {
  // 3x3 image, 2x2 kernel, valid: each output is a + 2b + 3c + 4d + bias over its window.
  const NetworkSpec spec = single({3, 3, 1}, Op::kConv2d, {.units = 1, .kernel = {2, 2}, .padding = Padding::kValid});
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (const Mode mode : {Mode::kTraining, Mode::kInference})
    EXPECT_THAT(run(spec, {1, 2, 3, 4, 0.5F}, x, mode), ElementsAre(37.5F, 47.5F, 67.5F, 77.5F));
}

TEST(Conv2d, SamePaddingPutsTheOddPixelAtTheEnd) {
  const NetworkSpec spec = single({1, 3, 1}, Op::kConv2d, {.units = 1, .kernel = {1, 2}, .bias = false});
  EXPECT_THAT(run(spec, {1, 10}, {1, 2, 3}), ElementsAre(21, 32, 3));
}

TEST(Conv2d, FusedReluCutsBelowZero) {
  const NetworkSpec spec = single({1, 2, 1}, Op::kConv2d, {.units = 2, .relu = true});
  for (const Mode mode : {Mode::kTraining, Mode::kInference})
    EXPECT_THAT(run(spec, {1, -1, 0, 0.5F}, {2, -3}, mode), ElementsAre(2, 0, 0, 3.5F));
}

TEST(Conv2d, AtEveryStepOfASequence) {
  const NetworkSpec one = single({1, 6, 2}, Op::kConv2d, {.units = 3, .kernel = {1, 3}, .stride = {1, 2}});
  NetworkSpec sequence = one;
  sequence.input = {4, 1, 6, 2};
  std::vector<float> weights(3 * 2 * 3 + 3), x(2 * 4 * 12);
  fill(weights, 1);
  fill(x, 2);
  EXPECT_EQ(run(sequence, weights, x), run(one, weights, x));
}

TEST(Fc, ByHandAndAtEveryStep) {
  const std::vector<float> weights{1, 2, 3, 4, 5, 6, 0.5F, 0, -1};  // (2, 3) and bias
  for (const Mode mode : {Mode::kTraining, Mode::kInference}) {
    EXPECT_THAT(run(single({2}, Op::kFc, {.units = 3}), weights, {1, 10}, mode), ElementsAre(41.5F, 52, 62));
    EXPECT_THAT(run(single({2, 2}, Op::kFc, {.units = 3}), weights, {1, 10, 0, 1}, mode),
                ElementsAre(41.5F, 52, 62, 4.5F, 5, 5));
  }
}

TEST(Slice, OfEachAxis) {
  const std::vector<float> x{0, 1, 2, 3, 4, 5, 6, 7};  // (2, 2, 2)
  const auto cut = [&](int axis) {
    return run(single({2, 2, 2}, Op::kSlice, {.axis = axis, .begin = 1, .end = 2}), {}, x);
  };
  EXPECT_THAT(cut(0), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(cut(1), ElementsAre(2, 3, 6, 7));
  EXPECT_THAT(cut(2), ElementsAre(1, 3, 5, 7));
}

TEST(Concat, AlongEachAxis) {
  for (const auto& [axis, wanted] :
       {std::pair(0, std::vector<float>{3, 4, 1, 2, 3, 4}), std::pair(1, std::vector<float>{2, 1, 2, 4, 3, 4})}) {
    SpecBuilder b("concat", {2, 2});
    b.add(Op::kSlice, "part", {.axis = axis, .begin = 1, .end = 2});
    b.add_on({0, LayerSpec::kInput}, Op::kConcat, "layer", {.axis = axis});
    EXPECT_EQ(run(b.take(), {}, {1, 2, 3, 4}), wanted);
  }
}

TEST(Add, ThreeInputsWithRelu) {
  SpecBuilder b("add", {3});
  b.add(Op::kFc, "double", {.units = 3, .bias = false});
  b.add_on({0, LayerSpec::kInput, LayerSpec::kInput}, Op::kAdd, "layer", {.relu = true});
  EXPECT_THAT(run(b.take(), {2, 0, 0, 0, 2, 0, 0, 0, -3}, {1, -1, 5}), ElementsAre(4, 0, 0));
}

TEST(Flatten, KeepsTheOrder) {
  SpecBuilder b("alias", {2, 2});
  b.add(Op::kFlatten, "flat");
  b.add(Op::kReshape, "again", {.shape = {4, 1}});
  b.add(Op::kSlice, "cut", {.axis = 0, .begin = 1, .end = 3});
  EXPECT_THAT(run(b.take(), {}, {1, 2, 3, 4}), ElementsAre(2, 3));
}

struct Case {
  const char* title;
  Shape input;
  Op op;
  Attributes attr;
  int64_t flops;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.title; }

class LinearLayer : public ::testing::TestWithParam<Case> {};

TEST_P(LinearLayer, GradientsMatchDifferences) {
  const Case& c = GetParam();
  GradientCheck check(single(c.input, c.op, c.attr), 3);
  EXPECT_LT(check.worst_of_parameters(), GradientCheck::kTolerance);
  EXPECT_LT(check.worst_of_input(), GradientCheck::kTolerance);
}

TEST_P(LinearLayer, FlopsByHand) {
  const Case& c = GetParam();
  EXPECT_EQ(summarize(single(c.input, c.op, c.attr)).flops, c.flops);
}

INSTANTIATE_TEST_SUITE_P(
    All, LinearLayer,
    ::testing::Values(
        Case{"conv_same", {5, 4, 3}, Op::kConv2d, {.units = 4, .kernel = {3, 3}}, 2 * 5 * 4 * 4 * 27},
        Case{"conv_valid",
             {5, 6, 2},
             Op::kConv2d,
             {.units = 3, .kernel = {2, 3}, .padding = Padding::kValid},
             2 * 4 * 4 * 3 * 12},
        Case{"conv_stride", {5, 6, 2}, Op::kConv2d, {.units = 3, .kernel = {3, 3}, .stride = {2, 2}}, 2 * 9 * 3 * 18},
        Case{"conv_1x1_stride", {4, 4, 3}, Op::kConv2d, {.units = 2, .stride = {2, 2}, .bias = false}, 2 * 4 * 2 * 3},
        Case{"conv_steps",
             {3, 1, 8, 2},
             Op::kConv2d,
             {.units = 2, .kernel = {1, 3}, .stride = {1, 3}},
             2 * 3 * 3 * 2 * 6},
        Case{"conv_kernel_larger_than_image", {2, 2, 1}, Op::kConv2d, {.units = 2, .kernel = {5, 5}}, 2 * 4 * 2 * 25},
        Case{"fc", {7}, Op::kFc, {.units = 5}, 2 * 7 * 5},
        Case{"fc_no_bias", {7}, Op::kFc, {.units = 1, .bias = false}, 2 * 7},
        Case{"fc_steps", {4, 3}, Op::kFc, {.units = 5}, 2 * 4 * 3 * 5},
        Case{"slice", {3, 4, 2}, Op::kSlice, {.axis = 1, .begin = 1, .end = 3}, 0},
        Case{"flatten", {3, 2}, Op::kFlatten, {}, 0}),
    [](const auto& c) { return c.param.title; });

}  // namespace
}  // namespace fdi::nn
