// Whole networks on each GEMM provider: gradients through strided operands, inference on weights packed once, and the
// recurrent layers' panels of one step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/threads.h"
#include "kernels/gemm.h"
#include "kernels/isa.h"
#include "nn/builder.h"
#include "tests/nn/gradient_check.h"

namespace fdi::nn {
namespace {

using kernels::GemmProvider;

class EveryProvider : public ::testing::TestWithParam<GemmProvider> {
 protected:
  void SetUp() override {
    try {
      kernels::set_gemm_provider(GetParam());
    } catch (const core::Error& e) {
      GTEST_SKIP() << e.what();
    }
  }
  void TearDown() override { kernels::set_gemm_provider(GemmProvider::kNative); }
};

NetworkSpec images() {
  SpecBuilder b("images", {6, 5, 3});
  b.add(Op::kConv2d, "conv", {.units = 5, .kernel = {3, 3}});
  b.add(Op::kConv2d, "strided", {.units = 4, .kernel = {3, 3}, .stride = {2, 2}});
  b.add(Op::kConv2d, "pointwise", {.units = 3});
  b.add(Op::kFlatten, "flat");
  b.add(Op::kFc, "fc", {.units = 4});
  return b.take();
}

NetworkSpec sequences() {
  SpecBuilder b("sequences", {5, 4});
  b.add(Op::kFc, "each_step", {.units = 6});
  const int after = b.add(Op::kGru, "gru", {.units = 5});
  const int before = b.add_on({0}, Op::kGru, "gru_before", {.units = 3, .reset_after = false});
  const int lstm = b.add_on({0}, Op::kLstm, "lstm", {.units = 4});
  b.add_on({after, before, lstm}, Op::kConcat, "all", {.axis = 1});
  b.add(Op::kTimeMean, "mean");
  b.add(Op::kFc, "fc", {.units = 3});
  return b.take();
}

TEST_P(EveryProvider, GradientsMatchDifferences) {
  expect_gradients(images());
  expect_gradients(sequences(), {.lengths = {5, 2, 3}});
}

// A batch of one or two takes another way through a recurrent layer than a larger one.
TEST_P(EveryProvider, InferenceMatchesTraining) {
  for (const NetworkSpec& spec : {images(), sequences()}) {
    Parameters parameters(spec);
    parameters.initialize(5);
    for (const int batch : {1, 2, 4}) {
      SCOPED_TRACE(spec.name + ", batch " + std::to_string(batch));
      Network training(spec, parameters, batch, Mode::kTraining), inference(spec, parameters, batch, Mode::kInference);
      fill(training.input().span(), 6);
      fill(inference.input().span(), 6);
      const Pass pass{.batch = batch};
      const Tensor want = training.forward(pass), got = inference.forward(pass);
      for (int64_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got.data[i], want.data[i], 1e-5) << i;
    }
  }
}

// Several threads, products inside and outside of parallel regions in turn: OpenBLAS lost its buffers to a race there,
// once in some 150 forward passes.
TEST_P(EveryProvider, RepeatsItsNumbersOnSeveralThreads) {
  const int before = core::threads();
  core::set_threads(2);
  const NetworkSpec spec = images();
  Parameters parameters(spec);
  parameters.initialize(5);
  Network network(spec, parameters, 3, Mode::kTraining);
  fill(network.input().span(), 6);
  const Pass pass{.batch = 3};
  const Tensor y = network.forward(pass);
  const std::vector<float> first(y.data, y.data + y.size());
  for (int repeat = 0; repeat < 5000; ++repeat)
    ASSERT_THAT(network.forward(pass).span(), ::testing::ElementsAreArray(first)) << "repeat " << repeat;
  core::set_threads(before);
}

INSTANTIATE_TEST_SUITE_P(Gemm, EveryProvider, ::testing::Values(GemmProvider::kNative, GemmProvider::kOpenBlas),
                         [](const auto& p) { return p.param == GemmProvider::kNative ? "native" : "openblas"; });

// Packed weights and workspaces are laid out for the kernels in force when a network is built.
TEST(OtherKernels, ThanThoseItWasBuiltForAreRefused) {
  const NetworkSpec spec = images();
  Parameters parameters(spec);
  parameters.initialize(5);
  Network inference(spec, parameters, 2, Mode::kInference), training(spec, parameters, 2, Mode::kTraining);
  Pass pass;
  pass.batch = 2;
  const Tensor y = training.forward(pass);
  inference.forward(pass);
  const auto refused = [&](const char* what) {
    EXPECT_THAT([&] { inference.forward(pass); }, ::testing::ThrowsMessage<core::Error>(::testing::HasSubstr(what)));
    EXPECT_THROW(training.forward(pass), core::Error);
    EXPECT_THROW(training.backward(pass, y), core::Error);
  };
  const std::string isa = kernels::isa();
  if (isa != "scalar") {
    kernels::set_isa("scalar");
    refused(
        ("network images was built for " + isa + " with the native matrix product, but scalar with native is in force")
            .c_str());
    kernels::set_isa(isa);
  }
  EXPECT_NO_THROW(inference.forward(pass));
#ifdef FDI_HAVE_OPENBLAS
  kernels::set_gemm_provider(GemmProvider::kOpenBlas);
  refused("with the native matrix product, but ");
  kernels::set_gemm_provider(GemmProvider::kNative);
  EXPECT_NO_THROW(inference.forward(pass));
#else
  GTEST_SKIP() << "this build has no OpenBLAS as another provider";
#endif
}

}  // namespace
}  // namespace fdi::nn
