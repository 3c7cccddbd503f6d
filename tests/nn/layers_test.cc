// batch_norm, activations, pools, means, dropout: numeric gradients, values by hand, shape errors, and that evaluation
// and inference networks agree.
#include <gmock/gmock.h>

#include "core/error.h"
#include "core/threads.h"
#include "tests/nn/gradient_check.h"

namespace fdi::nn {
namespace {

using ::testing::HasSubstr;

std::string layer_error(Op op, const Shape& in, const Attributes& attr = {}) {
  try {
    output_shapes(single(op, in, attr));
  } catch (const core::Error& e) {
    return e.what();
  }
  return "no error";
}

// Output of a freshly initialized network on x, evaluated by a training or an inference network.
std::vector<float> run(const NetworkSpec& spec, const std::vector<float>& x, int batch, Mode mode,
                       bool training = false, uint64_t step = 0, std::vector<int> lengths = {}) {
  Parameters parameters(spec);
  parameters.initialize(3);
  Network network(spec, parameters, batch, mode);
  std::copy(x.begin(), x.end(), network.input().data);
  const Tensor y = network.forward({.batch = batch, .training = training, .seed = 5, .step = step, .lengths = lengths});
  return {y.data, y.data + y.size()};
}

TEST(BatchNormLayer, Gradients) {
  for (const bool relu : {false, true})
    for (const Shape& shape : {Shape{5}, Shape{4, 3}, Shape{3, 2, 5}, Shape{2, 3, 2, 4}}) {
      SCOPED_TRACE(core::to_string(shape) + (relu ? " relu" : ""));
      // A step of 1e-3 crosses no ReLU's kink with these numbers; rounding then weighs ten times as much.
      expect_gradients(single(Op::kBatchNorm, shape, {.relu = relu}),
                       {.batch = 6, .input_scale = 2, .step = relu ? 1e-3F : 1e-2F, .tolerance = 2e-2});
    }
}

TEST(BatchNormLayer, NormalisesInTrainingAndUsesRunningStatisticsOtherwise) {
  const NetworkSpec spec = single(Op::kBatchNorm, {1}, {.momentum = 0.5F});
  Parameters parameters(spec);
  parameters.initialize(1);
  Network network(spec, parameters, 4, Mode::kTraining);
  const float x[] = {1, 3, 5, 7};  // mean 4, variance 5 (biased), 20/3 (unbiased)
  std::copy_n(x, 4, network.input().data);
  const Tensor y = network.forward({.batch = 4, .training = true});
  EXPECT_NEAR(y.data[0], -3 / std::sqrt(5.0), 1e-5);
  EXPECT_NEAR(y.data[3], 3 / std::sqrt(5.0), 1e-5);
  const float mean = parameters.tensor(*parameters.find("batch_norm.running_mean")).data[0];
  const float var = parameters.tensor(*parameters.find("batch_norm.running_var")).data[0];
  EXPECT_NEAR(mean, 2.0, 1e-6);
  EXPECT_NEAR(var, 0.5 + 0.5 * 20 / 3, 1e-5);
  std::copy_n(x, 4, network.input().data);
  network.forward({.batch = 4, .training = false});
  EXPECT_NEAR(y.data[0], (1 - mean) / std::sqrt(var + 1e-5), 1e-5);
  Network inference(spec, parameters, 4, Mode::kInference);
  std::copy_n(x, 4, inference.input().data);
  const Tensor z = inference.forward({.batch = 4});
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(z.data[i], y.data[i], 1e-6);
}

TEST(ActivationLayers, Gradients) {
  for (const Op op : {Op::kTanh, Op::kSigmoid}) expect_gradients(single(op, {7, 3}));
  expect_gradients(single(Op::kRelu, {5, 3, 2}), {.spread_input = true});
}

TEST(PoolLayers, Gradients) {
  for (const Op op : {Op::kMaxPool, Op::kAvgPool})
    for (const Padding padding : {Padding::kSame, Padding::kValid})
      for (const int stride : {1, 2, 3}) {
        SCOPED_TRACE(std::string(op_name(op)) + " stride " + std::to_string(stride));
        const Attributes attr{.kernel = {3, 2}, .stride = {stride, stride}, .padding = padding};
        expect_gradients(single(op, {5, 6, 3}, attr), {.batch = 2, .spread_input = true});
        expect_gradients(single(op, {2, 4, 5, 2}, attr), {.batch = 2, .spread_input = true});
      }
}

TEST(PoolLayers, ValuesByHand) {
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9};  // (3, 3, 1)
  const Attributes same{.kernel = {2, 2}, .stride = {2, 2}, .padding = Padding::kSame};
  EXPECT_THAT(run(single(Op::kMaxPool, {3, 3, 1}, same), x, 1, Mode::kInference), ::testing::ElementsAre(5, 6, 8, 9));
  EXPECT_THAT(run(single(Op::kAvgPool, {3, 3, 1}, same), x, 1, Mode::kInference),
              ::testing::ElementsAre(3, 4.5F, 7.5F, 9));
  EXPECT_THAT(run(single(Op::kGlobalAvgPool, {3, 3, 1}), x, 1, Mode::kInference), ::testing::ElementsAre(5));
  EXPECT_THAT(run(single(Op::kTimeMean, {3, 3}), x, 1, Mode::kInference, false, 0, {2}),
              ::testing::ElementsAre(2.5F, 3.5F, 4.5F));
}

TEST(MeanLayers, Gradients) {
  expect_gradients(single(Op::kGlobalAvgPool, {3, 4, 5}));
  expect_gradients(single(Op::kTimeMean, {6, 5}));
  expect_gradients(single(Op::kTimeMean, {6, 5}), {.batch = 4, .lengths = {6, 0, 1, 4}});
}

TEST(DropoutLayers, GradientsFollowTheSameMask) {
  for (const Op op : {Op::kDropout, Op::kChannelDropout}) expect_gradients(single(op, {4, 3, 5}, {.rate = 0.4F}));
}

TEST(DropoutLayers, KeepTheMeanDropTheRateAndDoNothingInEvaluation) {
  const int n = 40000;
  const NetworkSpec spec = single(Op::kDropout, {n}, {.rate = 0.3F});
  const std::vector<float> x(n, 1.0F);
  EXPECT_EQ(run(spec, x, 1, Mode::kTraining, false), x);
  EXPECT_EQ(run(spec, x, 1, Mode::kInference), x);
  const auto y = run(spec, x, 1, Mode::kTraining, true);
  const auto dropped = static_cast<double>(std::count(y.begin(), y.end(), 0.0F));
  EXPECT_NEAR(dropped / n, 0.3, 5 * std::sqrt(0.3 * 0.7 / n));  // five standard errors
  for (const float v : y) EXPECT_TRUE(v == 0.0F || v == 1.0F / (1.0F - 0.3F));
  EXPECT_EQ(y, run(spec, x, 1, Mode::kTraining, true)) << "same seed and step";
  EXPECT_NE(y, run(spec, x, 1, Mode::kTraining, true, 1)) << "another step";
  const int before = core::threads();
  core::set_threads(1);
  const auto one = run(spec, x, 1, Mode::kTraining, true);
  core::set_threads(3);
  EXPECT_EQ(one, run(spec, x, 1, Mode::kTraining, true)) << "threads change nothing";
  core::set_threads(before);
}

TEST(DropoutLayers, ChannelDropoutDropsAChannelEverywhereInOneExample) {
  const int pixels = 12, channel = 50, batch = 4;
  const std::vector<float> x(static_cast<size_t>(pixels) * channel * batch, 1.0F);
  const auto y = run(single(Op::kChannelDropout, {3, 4, channel}, {.rate = 0.5F}), x, batch, Mode::kTraining, true);
  int dropped = 0;
  bool examples_differ = false;
  for (int b = 0; b < batch; ++b)
    for (int c = 0; c < channel; ++c) {
      const float first = y[b * pixels * channel + c];
      for (int p = 0; p < pixels; ++p) EXPECT_EQ(y[(b * pixels + p) * channel + c], first);
      dropped += first == 0 ? 1 : 0;
      examples_differ |= first != y[c];
    }
  EXPECT_NEAR(dropped, 100, 36);  // five standard errors of 200 draws
  EXPECT_TRUE(examples_differ);
}

TEST(LayerShapes, ErrorsNameTheLayerAndTheShape) {
  EXPECT_THAT(layer_error(Op::kMaxPool, {5}, {.kernel = {2, 2}}), HasSubstr("[max_pool max_pool] got (5)"));
  EXPECT_THAT(layer_error(Op::kAvgPool, {2, 2, 1}, {.kernel = {3, 3}, .padding = Padding::kValid}),
              HasSubstr("(2, 2, 1)"));
  EXPECT_THAT(layer_error(Op::kGlobalAvgPool, {5, 2}), HasSubstr("want an image"));
  EXPECT_THAT(layer_error(Op::kTimeMean, {5, 2, 1}), HasSubstr("want a sequence"));
  EXPECT_THAT(layer_error(Op::kGru, {5}, {.units = 4}), HasSubstr("[gru gru] got (5), want a sequence"));
  EXPECT_THAT(layer_error(Op::kLstm, {5, 2, 2}, {.units = 4}), HasSubstr("want a sequence"));
  EXPECT_THAT(layer_error(Op::kDropout, {5}, {.rate = 1.0F}), HasSubstr("rate"));
}

}  // namespace
}  // namespace fdi::nn
