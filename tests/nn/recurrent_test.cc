// gru and lstm: numeric gradients with and without masks, masks, batch paths, inference against evaluation.
#include <gmock/gmock.h>

#include "core/threads.h"
#include "tests/nn/gradient_check.h"

namespace fdi::nn {
namespace {

struct Kind {
  Op op;
  bool reset_after;
};
constexpr Kind kKinds[] = {{Op::kGru, true}, {Op::kGru, false}, {Op::kLstm, true}};

NetworkSpec spec_of(const Kind& kind, int time, int in, int units) {
  return single(kind.op, {time, in}, {.units = units, .reset_after = kind.reset_after});
}

std::string name_of(const Kind& kind) {
  return std::string(op_name(kind.op)) + (kind.reset_after ? " reset after" : " reset before");
}

class Runner {  // one set of weights, any batch, any mode
 public:
  explicit Runner(const NetworkSpec& spec) : spec_(spec), parameters_(spec) { parameters_.initialize(4); }
  std::vector<float> run(const std::vector<float>& x, int batch, Mode mode, std::vector<int> lengths = {}) {
    Network network(spec_, parameters_, batch, mode);
    std::copy(x.begin(), x.begin() + network.input().size(), network.input().data);
    const Tensor y = network.forward({.batch = batch, .lengths = lengths});
    return {y.data, y.data + y.size()};
  }

 private:
  NetworkSpec spec_;
  Parameters parameters_;
};

std::vector<float> random_input(size_t n) {
  core::Rng rng(11, core::Stream::kTest);
  std::vector<float> x(n);
  for (float& v : x) v = rng.uniform(-1, 1);
  return x;
}

TEST(RecurrentLayers, Gradients) {
  for (const Kind& kind : kKinds)
    for (const int units : {1, 5, 17}) {
      SCOPED_TRACE(name_of(kind) + ", units " + std::to_string(units));
      expect_gradients(spec_of(kind, 4, 3, units), {.batch = 3});
      expect_gradients(spec_of(kind, 1, 3, units), {.batch = 1});
      expect_gradients(spec_of(kind, 5, 3, units), {.batch = 4, .lengths = {5, 0, 2, 4}});
    }
}

TEST(RecurrentLayers, StackedWithAMeanOverTheValidSteps) {
  Attributes units;
  units.units = 4;
  const NetworkSpec spec{
      "stack",
      {5, 3},
      {{Op::kGru, "a", {LayerSpec::kInput}, units}, {Op::kLstm, "b", {0}, units}, {Op::kTimeMean, "mean", {1}, {}}}};
  expect_gradients(spec, {.batch = 3, .lengths = {5, 2, 1}});
}

TEST(RecurrentLayers, AMaskedExampleIsItsShortSelf) {
  const int time = 6, in = 3, units = 7;
  const auto x = random_input(2 * time * in);
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(name_of(kind));
    Runner runner(spec_of(kind, time, in, units));
    const auto full = runner.run(x, 2, Mode::kInference);
    for (const Mode mode : {Mode::kInference, Mode::kTraining}) {
      const auto masked = runner.run(x, 2, mode, {time, 2});
      for (int i = 0; i < time * units; ++i) EXPECT_NEAR(masked[i], full[i], 1e-6);
      for (int i = 0; i < time * units; ++i)
        EXPECT_NEAR(masked[time * units + i], i < 2 * units ? full[time * units + i] : 0.0F, 1e-6);
    }
  }
}

// A batch of one has a path of its own through gemm, and weights are packed once or per pass: all must agree.
TEST(RecurrentLayers, AllPathsAgree) {
  const int time = 5, in = 9, most = 7;
  for (const Kind& kind : kKinds)
    for (const int units : {1, 4, 16, 40}) {
      SCOPED_TRACE(name_of(kind) + ", units " + std::to_string(units));
      const auto x = random_input(most * time * in);
      Runner runner(spec_of(kind, time, in, units));
      const auto want = runner.run(x, most, Mode::kTraining);
      for (const int batch : {1, 2, 3, most})
        for (const Mode mode : {Mode::kTraining, Mode::kInference}) {
          const auto got = runner.run(x, batch, mode);
          for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-6) << "batch " << batch;
        }
    }
}

TEST(RecurrentLayers, ThreadsChangeNoBit) {
  const auto x = random_input(64 * 4 * 30);
  const int before = core::threads();
  for (const Kind& kind : kKinds) {
    Runner runner(spec_of(kind, 4, 30, 150));
    core::set_threads(1);
    const auto one = runner.run(x, 64, Mode::kTraining);
    for (const int threads : {2, 3, 5, 7}) {
      core::set_threads(threads);
      EXPECT_EQ(one, runner.run(x, 64, Mode::kTraining)) << name_of(kind) << ", threads " << threads;
    }
  }
  core::set_threads(before);
}

TEST(RecurrentLayers, CountParametersAsTheirPapersDo) {
  const auto count = [](const NetworkSpec& spec) { return Parameters(spec).trainable().size(); };
  EXPECT_EQ(count(spec_of(kKinds[0], 2, 10, 6)), 3U * 6 * (10 + 6 + 2));  // PyTorch's, two biases
  EXPECT_EQ(count(spec_of(kKinds[1], 2, 10, 6)), 3U * 6 * (10 + 6 + 1));
  EXPECT_EQ(count(spec_of(kKinds[2], 2, 10, 6)), 4U * 6 * (10 + 6 + 1));
}

}  // namespace
}  // namespace fdi::nn
