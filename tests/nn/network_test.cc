// Network: forward and backward of chains and of DAGs, batches smaller than planned, memory, no allocation.
#include "nn/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "nn/builder.h"
#include "nn/fuse.h"
#include "nn/loss.h"
#include "nn/summary.h"
#include "nn/zoo.h"
#include "tests/nn/gradient_check.h"

namespace fdi::nn {
namespace {

// conv -> (conv, slice of it twice) -> concat, add, flatten, fc: several readers, a tensor read twice by one layer.
NetworkSpec dag(bool relu) {
  SpecBuilder b("dag", {5, 4, 3});
  const int a = b.add(Op::kConv2d, "a", {.units = 4, .kernel = {3, 3}, .relu = relu});
  const int left = b.add_on({a}, Op::kSlice, "left", {.axis = 2, .begin = 0, .end = 2});
  const int right = b.add_on({a}, Op::kSlice, "right", {.axis = 2, .begin = 1, .end = 4});
  const int joined = b.add_on({left, right, left}, Op::kConcat, "joined", {.axis = 2});
  const int c = b.add_on({joined}, Op::kConv2d, "c", {.units = 4, .kernel = {2, 3}, .bias = false});
  const int sum = b.add_on({c, a, a}, Op::kAdd, "sum", {.relu = relu});
  const int flat = b.add_on({a}, Op::kFlatten, "flat");
  const int flat_sum = b.add_on({sum}, Op::kReshape, "flat_sum", {.shape = {80}});
  b.add_on({flat, flat_sum}, Op::kAdd, "total");
  b.add(Op::kFc, "fc", {.units = 6});
  return b.take();
}

constexpr double kGradientTolerance = GradientCheck::kTolerance;

TEST(Network, GradientsOfADagMatchDifferences) {
  GradientCheck check(dag(false), 3);
  EXPECT_LT(check.worst_of_parameters(), kGradientTolerance);
  EXPECT_LT(check.worst_of_input(), kGradientTolerance);
}

TEST(Network, ABatchSmallerThanPlannedHasTheSameGradients) {
  GradientCheck large(dag(true), 5, 3), exact(dag(true), 3, 3);
  std::copy_n(large.network.input().data, exact.network.input().size(), exact.network.input().data);
  large.backward();
  exact.backward();
  for (size_t i = 0; i < exact.network.gradients().size(); ++i)
    EXPECT_FLOAT_EQ(large.network.gradients()[i], exact.network.gradients()[i]) << i;
  EXPECT_EQ(large.network.input_gradient().shape, exact.network.input_gradient().shape);
}

TEST(Network, TheNextFullBatchIsNotCutShort) {
  GradientCheck probe(dag(true), 4, 4);
  const Tensor full = probe.network.forward(probe.pass);
  const std::vector<float> first(full.data, full.data + full.size());
  Pass part = probe.pass;
  part.batch = 1;
  EXPECT_EQ(probe.network.forward(part).size(), 6);
  const Tensor again = probe.network.forward(probe.pass);
  ASSERT_EQ(again.shape, (Shape{4, 6}));
  EXPECT_EQ(std::vector<float>(again.data, again.data + again.size()), first);
}

TEST(Network, InferenceOutlivesItsParametersAndMatchesTraining) {
  const NetworkSpec spec = dag(true);
  GradientCheck probe(spec, 2, 2);
  Network inference(spec, probe.parameters, 2, Mode::kInference);
  const Tensor expected = probe.network.forward(probe.pass);
  for (float& v : probe.parameters.all()) v = NAN;
  std::copy_n(probe.network.input().data, inference.input().size(), inference.input().data);
  Pass pass;
  pass.batch = 2;
  const std::vector<float> input(inference.input().data, inference.input().data + inference.input().size());
  const Tensor y = inference.forward(pass);
  for (int64_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y.data[i], expected.data[i], 1e-5) << i;
  EXPECT_EQ(std::vector<float>(inference.input().data, inference.input().data + inference.input().size()), input);
  EXPECT_EQ(inference.memory().gradients + inference.memory().state, 0u);
}

TEST(Network, WithoutInputGradientTheFirstLayersSkipTheirs) {
  SpecBuilder b("x", {3, 4});
  b.add(Op::kSlice, "cut", {.axis = 1, .begin = 1, .end = 3});  // no weights before it: its backward is left out
  b.add(Op::kFlatten, "flat");
  b.add(Op::kFc, "fc", {.units = 2});
  const NetworkSpec spec = b.take();
  GradientCheck with(spec, 2, 2);
  with.backward();
  Network without(spec, with.parameters, 2, Mode::kTraining);
  std::copy_n(with.network.input().data, 24, without.input().data);
  without.forward(with.pass);
  std::vector<float> dy = with.coefficient;
  without.backward(with.pass, {dy.data(), {2, 2}});
  EXPECT_EQ(without.input_gradient().data, nullptr);
  for (size_t i = 0; i < without.gradients().size(); ++i)
    EXPECT_EQ(without.gradients()[i], with.network.gradients()[i]);
  EXPECT_LT(without.memory().activations, with.network.memory().activations);
}

TEST(Network, AnAliasOfTheInputPassesTheGradient) {
  SpecBuilder b("x", {2, 3});
  b.add(Op::kFlatten, "flat");
  GradientCheck probe(b.take(), 1, 1);
  probe.backward();
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(probe.network.input_gradient().data[i], probe.coefficient[i]);
}

// VGG-16's largest neighbours are conv1_1 and conv1_2, (32, 32, 64) each.
TEST(Network, InferenceHoldsTwoActivations) {
  const NetworkSpec spec = make_zoo("vgg16");
  const Parameters parameters(spec);
  FoldedNetwork folded = inference_graph(spec, parameters);
  for (const int batch : {1, 3}) {
    const Network::Memory memory = Network(folded.spec, folded.parameters, batch, Mode::kInference).memory();
    EXPECT_EQ(memory.activations, batch * 2 * 32 * 32 * 64 * sizeof(float));
    EXPECT_EQ(memory.input, batch * 32 * 32 * 3 * sizeof(float));
    EXPECT_GE(memory.weights, folded.parameters.all().size_bytes());
    EXPECT_LT(memory.weights, folded.parameters.all().size_bytes() * 1.05);  // panels are padded to whole vectors
  }
}

// Planned without weights, as `info` does it, on networks whose layers pack in every way.
TEST(Network, APlanIsWhatTheNetworkTakes) {
  SpecBuilder b("recurrent", {7, 20});
  b.add(Op::kGru, "gru", {.units = 12});
  b.add(Op::kLstm, "lstm", {.units = 9});
  b.add(Op::kTimeMean, "mean");
  b.add(Op::kBatchNorm, "norm");
  b.add(Op::kTanh, "tanh");
  b.add(Op::kFc, "fc", {.units = 5});
  for (const NetworkSpec& spec : {make_zoo("vgg16", {.width = 0.25}), make_zoo("lenet"), b.take()}) {
    SCOPED_TRACE(spec.name);
    Parameters parameters(spec);
    FoldedNetwork folded = inference_graph(spec, parameters);
    EXPECT_EQ(inference_spec(spec), folded.spec);
    const Network inference(folded.spec, folded.parameters, 9, Mode::kInference);
    const Network training(spec, parameters, 9, Mode::kTraining);
    for (const Network* network : {&inference, &training}) {
      const Network::Memory plan =
          Network::plan(network->spec(), 9, network == &training ? Mode::kTraining : Mode::kInference);
      const Network::Memory taken = network->memory();
      EXPECT_EQ(plan.weights, taken.weights);
      EXPECT_EQ(plan.input, taken.input);
      EXPECT_EQ(plan.activations, taken.activations);
      EXPECT_EQ(plan.gradients, taken.gradients);
      EXPECT_EQ(plan.state, taken.state);
      EXPECT_EQ(plan.workspace, taken.workspace);
    }
  }
}

TEST(Network, TrainingMemoryIsWhatMustBeKept) {
  const NetworkSpec spec = fuse_relu(make_zoo("vgg16", {.width = 0.25}));
  Parameters parameters(spec);
  const Network::Memory memory = Network(spec, parameters, 4, Mode::kTraining).memory();
  const auto kept = static_cast<size_t>(4 * summarize(spec).output_bytes);
  EXPECT_GE(memory.activations, kept);
  EXPECT_LT(memory.activations, kept * 1.5);  // gradients move into activations that are done
  EXPECT_EQ(memory.gradients, (parameters.trainable().size_bytes() + 63) / 64 * 64);
}

TEST(Network, RefusesWhatDoesNotFit) {
  const NetworkSpec spec = dag(false);
  Parameters parameters(spec), others(make_zoo("lenet"));
  EXPECT_THROW(Network(spec, parameters, 0, Mode::kTraining), core::Error);
  EXPECT_THROW(Network(spec, others, 1, Mode::kTraining), core::Error);
  NetworkSpec wider = spec;
  wider.layers.back().attr.units = 7;
  try {
    Network(wider, parameters, 1, Mode::kInference);
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_STREQ(e.what(), "[fc fc] got (80, 6) for fc.weight, want (80, 7)");
  }
}

TEST(Parameters, TrainableFirstThenState) {
  const NetworkSpec spec = make_zoo("resnet20");
  Parameters parameters(spec);
  int64_t offset = 0;
  bool state = false;
  for (const Parameters::Entry& e : parameters.entries()) {
    EXPECT_EQ(e.offset, offset);
    offset += e.spec.shape.size();
    EXPECT_FALSE(state && e.spec.trainable) << e.name;
    state = !e.spec.trainable;
  }
  EXPECT_EQ(static_cast<int64_t>(parameters.all().size()), offset);
  EXPECT_EQ(static_cast<int64_t>(parameters.trainable().size()), summarize(spec).parameters);
  EXPECT_EQ(parameters.find("conv1.weight")->spec.shape, (Shape{3, 3, 3, 16}));
  EXPECT_EQ(parameters.find("conv1.bias"), nullptr);
}

TEST(Parameters, InitialisationHasTheNamedSpreadAndFollowsTheSeed) {
  SpecBuilder b("x", {200});
  b.add(Op::kFc, "fc", {.units = 300, .relu = true});
  const NetworkSpec spec = b.take();
  Parameters a(spec), same(spec), other(spec);
  a.initialize(1);
  same.initialize(1);
  other.initialize(2);
  EXPECT_TRUE(std::equal(a.all().begin(), a.all().end(), same.all().begin()));
  EXPECT_FALSE(std::equal(a.all().begin(), a.all().end(), other.all().begin()));
  double square = 0;
  for (const float v : a.tensor(*a.find("fc.weight")).span()) square += double{v} * v;
  EXPECT_NEAR(square / (200 * 300), 2.0 / 200, 0.0005);  // He: variance 2 / fan_in; 8 standard errors
}

// A ReLU may follow as a layer of its own, behind a batch norm; the head that has none is PyTorch's Linear.
TEST(Parameters, AnFcStartsByWhatFollowsIt) {
  SpecBuilder b("x", {400});
  b.add(Op::kFc, "hidden", {.units = 100});
  b.add(Op::kBatchNorm, "norm");
  b.add(Op::kRelu, "relu");
  b.add(Op::kFc, "head", {.units = 1000});
  Parameters p(b.take());
  p.initialize(1);
  const auto largest = [&](const char* name) {
    float most = 0;
    for (const float v : p.tensor(*p.find(name)).span()) most = std::max(most, std::abs(v));
    return most;
  };
  EXPECT_GT(largest("hidden.weight"), 3 * std::sqrt(2.0F / 400));  // a normal draw passes 3 deviations
  EXPECT_EQ(largest("hidden.bias"), 0);
  for (const char* name : {"head.weight", "head.bias"}) {
    EXPECT_LE(largest(name), 0.1F) << name;  // 1 / sqrt(100)
    EXPECT_GT(largest(name), 0.09F) << name;
  }
}

TEST(Parameters, AZooNetworkStartsNearTheLossOfGuessing) {
  for (const char* name : {"lenet", "resnet20"}) {
    const NetworkSpec spec = make_zoo(name);
    Parameters parameters(spec);
    parameters.initialize(1);
    Network network(spec, parameters, 32, Mode::kTraining);
    fill({network.input().data, static_cast<size_t>(network.input().size())}, 5);
    Pass pass;
    pass.batch = 32;
    pass.training = true;
    const std::vector<int> labels(32, 3);
    EXPECT_NEAR(SoftmaxLoss(32, 10).evaluate(network.forward(pass), labels).loss, std::log(10.0), 0.7) << name;
  }
}

}  // namespace
}  // namespace fdi::nn
