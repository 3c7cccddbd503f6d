// Rewritten networks put out what the original does.
#include "nn/fuse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"
#include "nn/builder.h"
#include "nn/zoo.h"

namespace fdi::nn {
namespace {

// Weights as initialised, statistics and norms as a trained network could have them.
Parameters lively(const NetworkSpec& spec) {
  Parameters parameters(spec);
  parameters.initialize(11);
  for (const Parameters::Entry& e : parameters.entries()) {
    core::Rng rng(5, core::Stream::kTest, e.offset);
    const bool scale = e.name.ends_with("gamma") || e.name.ends_with("running_var");
    if (scale || e.spec.shape.rank == 1)
      for (float& v : parameters.tensor(e).span()) v = scale ? rng.uniform(0.5F, 1.5F) : rng.uniform(-0.2F, 0.2F);
  }
  return parameters;
}

void fill_random(std::span<float> out, uint64_t stream) {
  core::Rng rng(6, core::Stream::kTest, stream);
  for (float& v : out) v = rng.uniform(-1, 1);
}

std::vector<float> run(const NetworkSpec& spec, Parameters& parameters, Mode mode, int batch) {
  Network network(spec, parameters, batch, mode);
  fill_random(network.input().span(), 0);
  Pass pass;
  pass.batch = batch;
  const Tensor y = network.forward(pass);
  return {y.data, y.data + y.size()};
}

double worst(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(double{a[i]} - b[i]));
    largest = std::max(largest, std::abs(double{a[i]}));
  }
  EXPECT_GT(largest, 1e-3);  // a network that puts out nothing would compare well
  return difference / largest;
}

int count(const NetworkSpec& spec, Op op) {
  return static_cast<int>(
      std::count_if(spec.layers.begin(), spec.layers.end(), [op](const LayerSpec& l) { return l.op == op; }));
}

// Folding reorders roundings of 2^-24 in each of some 20 layers, whose sums have up to 4608 terms.
constexpr double kFoldTolerance = 2e-5;

TEST(Fuse, InferenceGraphPutsOutTheSame) {
  for (const char* name : {"vgg16", "resnet20", "lenet"}) {
    const NetworkSpec spec = make_zoo(name, {.width = 0.25});
    Parameters parameters = lively(spec);
    const std::vector<float> plain = run(spec, parameters, Mode::kInference, 2);
    FoldedNetwork folded = inference_graph(spec, parameters);
    EXPECT_EQ(count(folded.spec, Op::kBatchNorm), 0) << name;
    EXPECT_EQ(count(folded.spec, Op::kRelu), 0) << name;
    EXPECT_LT(worst(plain, run(folded.spec, folded.parameters, Mode::kInference, 2)), kFoldTolerance) << name;
    EXPECT_LT(worst(plain, run(spec, parameters, Mode::kTraining, 2)), kFoldTolerance) << name;  // evaluation
  }
}

TEST(Fuse, FoldsFullyConnectedLayersToo) {
  SpecBuilder b("x", {9});
  b.add(Op::kFc, "a", {.units = 7});
  b.add(Op::kBatchNorm, "n", {.relu = true});
  b.add(Op::kFc, "b", {.units = 5});
  b.add(Op::kBatchNorm, "m");
  const NetworkSpec spec = b.take();
  Parameters parameters = lively(spec);
  FoldedNetwork folded = fold_batch_norm(spec, parameters);
  EXPECT_EQ(folded.spec.layers.size(), 2u);
  EXPECT_TRUE(folded.spec.layers[0].attr.relu);
  EXPECT_LT(worst(run(spec, parameters, Mode::kInference, 3), run(folded.spec, folded.parameters, Mode::kInference, 3)),
            kFoldTolerance);
}

TEST(Fuse, LeavesWhatSomebodyElseReads) {
  SpecBuilder b("x", {4, 4, 2});
  const int conv = b.add(Op::kConv2d, "conv", {.units = 2});
  const int norm = b.add(Op::kBatchNorm, "norm");
  const int relu = b.add(Op::kRelu, "relu");
  b.add_on({conv, norm, relu}, Op::kAdd, "sum");
  b.add(Op::kTanh, "tanh");
  b.add(Op::kRelu, "last");  // tanh cannot take it
  const NetworkSpec spec = b.take();
  EXPECT_EQ(fuse_relu(spec), spec);
  EXPECT_EQ(fold_batch_norm(spec, Parameters(spec)).spec, spec);
}

TEST(Fuse, ReluOfTheInputAndNormAfterReluStay) {
  SpecBuilder b("x", {4});
  b.add(Op::kRelu, "first");
  b.add(Op::kFc, "a", {.units = 3, .relu = true});
  b.add(Op::kBatchNorm, "norm");
  const NetworkSpec spec = b.take();
  EXPECT_EQ(fuse_relu(spec), spec);
  EXPECT_EQ(fold_batch_norm(spec, Parameters(spec)).spec, spec);
}

TEST(Fuse, DropoutGoesButNeverTheWholeNetwork) {
  SpecBuilder b("x", {4});
  b.add(Op::kDropout, "d1", {.rate = 0.5F});
  b.add(Op::kFc, "a", {.units = 3});
  b.add(Op::kDropout, "d2", {.rate = 0.5F});
  const NetworkSpec spec = b.take();
  const NetworkSpec left = inference_graph(spec, Parameters(spec)).spec;
  ASSERT_EQ(left.layers.size(), 1u);
  EXPECT_EQ(left.layers[0].inputs, std::vector<int>{LayerSpec::kInput});
  SpecBuilder only("y", {4});
  only.add(Op::kDropout, "d", {.rate = 0.5F});
  const NetworkSpec one = only.take();
  EXPECT_EQ(inference_graph(one, Parameters(one)).spec, one);
}

// One training pass of the network with its relus as layers, and as attributes.
TEST(Fuse, TrainingWithFusedReluHasTheSameGradients) {
  const NetworkSpec spec = make_zoo("resnet20", {.width = 0.25, .input = {8, 8, 3}});
  const NetworkSpec fused = fuse_relu(spec);
  EXPECT_EQ(count(fused, Op::kRelu), 0);
  std::vector<std::vector<float>> gradients;
  for (const NetworkSpec& s : {spec, fused}) {
    Parameters parameters = lively(s);
    Network network(s, parameters, 4, Mode::kTraining);
    fill_random(network.input().span(), 0);
    Pass pass;
    pass.batch = 4;
    pass.training = true;
    Tensor y = network.forward(pass);
    std::vector<float> dy(static_cast<size_t>(y.size()));
    fill_random(dy, 1);
    network.backward(pass, {dy.data(), y.shape});
    gradients.emplace_back(network.gradients().begin(), network.gradients().end());
  }
  EXPECT_LT(worst(gradients[0], gradients[1]), 1e-5);  // the norm's backward computes its mask again from x
}

}  // namespace
}  // namespace fdi::nn
