// Every engine puts out what the native one does: each op that it has, odd sizes included, and whole networks.
#include "device/engine.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "device/component.h"
#include "device/version.h"
#include "nn/builder.h"
#include "nn/fuse.h"
#include "nn/layer.h"
#include "nn/zoo.h"
#include "tests/message_of.h"

namespace fdi::device {
namespace {

using nn::Op;
using nn::Padding;
using nn::Shape;
using ::testing::HasSubstr;

// Engines sum in another order, and a Winograd convolution or an approximated tanh rounds otherwise: a layer with up
// to 4608 terms per sum, or 20 of them, agree to this much of the largest output.
constexpr double kTolerance = 1e-4;

nn::Parameters lively(const nn::NetworkSpec& spec) {
  nn::Parameters parameters(spec);
  parameters.initialize(3);
  for (const nn::Parameters::Entry& e : parameters.entries()) {
    if (e.spec.shape.rank != 1) continue;  // biases and norms start as 0 or 1
    core::Rng rng(4, core::Stream::kTest, static_cast<uint64_t>(e.offset));
    const bool scale = e.name.ends_with("gamma") || e.name.ends_with("running_var");
    for (float& v : parameters.tensor(e).span()) v = scale ? rng.uniform(0.5F, 1.5F) : rng.uniform(-0.3F, 0.3F);
  }
  return parameters;
}

std::vector<float> output_of(const Engine& engine, const nn::NetworkSpec& spec, int batch) {
  nn::Parameters parameters = lively(spec);
  const std::unique_ptr<Prepared> prepared = engine.prepare(spec, parameters, true, batch);
  for (float& weight : parameters.all()) weight = NAN;  // an engine has its own copy
  const std::span<float> input = prepared->input();
  EXPECT_EQ(static_cast<int64_t>(input.size()), batch * spec.input.size());
  core::Rng rng(5, core::Stream::kTest);
  for (float& v : input) v = rng.uniform(-1, 1);
  const std::vector<float> before(input.begin(), input.end());
  prepared->run();
  prepared->run();  // nothing of the first run is left over
  EXPECT_TRUE(std::ranges::equal(prepared->input(), before));
  return {prepared->output().begin(), prepared->output().end()};
}

// Difference from the native engine's output, as a part of its largest value.
double difference(const Engine& engine, const nn::NetworkSpec& spec, int batch) {
  const std::vector<float> want = output_of(*make_engine("native"), spec, batch), got = output_of(engine, spec, batch);
  EXPECT_EQ(got.size(), want.size());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    const double d = std::abs(double{got[i]} - want[i]);
    if (!(d <= worst)) worst = d;  // NaN too
    largest = std::max(largest, std::abs(double{want[i]}));
  }
  EXPECT_GT(largest, 1e-3);  // a network that puts out nothing would compare well
  return worst / largest;
}

nn::NetworkSpec one_layer(Op op, const Shape& in, const nn::Attributes& attr = {}, int inputs = 1) {
  nn::SpecBuilder b("one", in);
  b.add_on(std::vector<int>(static_cast<size_t>(inputs), nn::LayerSpec::kInput), op, "layer", attr);
  return b.take();
}

std::vector<nn::NetworkSpec> convolutions() {
  std::vector<nn::NetworkSpec> specs;
  for (const int in : {1, 3, 17, 63})
    for (const int out : {1, 16, 17, 63})
      for (const Padding padding : {Padding::kSame, Padding::kValid})
        specs.push_back(one_layer(Op::kConv2d, {9, 11, in},
                                  {.units = out, .kernel = {3, 3}, .padding = padding, .relu = out == 17}));
  for (const std::array<int, 2> kernel : {std::array{1, 1}, {2, 2}, {2, 3}, {4, 4}, {5, 5}})
    for (const int stride : {1, 2})
      for (const Padding padding : {Padding::kSame, Padding::kValid})
        specs.push_back(
            one_layer(Op::kConv2d, {12, 9, 17},
                      {.units = 33, .kernel = kernel, .stride = {stride, stride}, .padding = padding, .bias = false}));
  specs.push_back(one_layer(Op::kConv2d, {5, 6, 7, 3}, {.units = 9, .kernel = {2, 3}}));  // at every step
  return specs;
}

std::vector<nn::NetworkSpec> other_layers() {
  std::vector<nn::NetworkSpec> specs;
  for (const int in : {1, 17, 63, 512})
    for (const int out : {1, 10, 63})
      specs.push_back(one_layer(Op::kFc, {in}, {.units = out, .bias = in != 63, .relu = out == 63}));
  specs.push_back(one_layer(Op::kFc, {7, 17}, {.units = 5}));  // at every step
  for (const Op op : {Op::kMaxPool, Op::kAvgPool})
    for (const int channel : {3, 16, 17})
      for (const Padding padding : {Padding::kSame, Padding::kValid}) {
        specs.push_back(one_layer(op, {8, 8, channel}, {.kernel = {2, 2}, .stride = {2, 2}, .padding = padding}));
        specs.push_back(one_layer(op, {9, 7, channel}, {.kernel = {3, 3}, .stride = {2, 2}, .padding = padding}));
        specs.push_back(one_layer(op, {9, 7, channel}, {.kernel = {2, 3}, .stride = {1, 1}, .padding = padding}));
      }
  for (const Shape& shape : {Shape{17}, {5, 63}, {6, 7, 3}, {6, 7, 64}}) {
    for (const Op op : {Op::kRelu, Op::kTanh, Op::kSigmoid, Op::kBatchNorm, Op::kDropout, Op::kFlatten})
      specs.push_back(one_layer(op, shape));
    specs.push_back(one_layer(Op::kBatchNorm, shape, {.relu = true}));
    specs.push_back(one_layer(Op::kAdd, shape, {.relu = true}, 2));
    specs.push_back(one_layer(Op::kAdd, shape, {}, 3));
    for (int axis = 0; axis < shape.rank; ++axis) {
      specs.push_back(one_layer(Op::kConcat, shape, {.axis = axis}, 3));
      specs.push_back(one_layer(Op::kSlice, shape, {.axis = axis, .begin = 1, .end = shape[axis] - 1}));
    }
  }
  specs.push_back(one_layer(Op::kChannelDropout, {6, 7, 3}));
  specs.push_back(one_layer(Op::kReshape, {6, 7, 3}, {.shape = {42, 3}}));
  for (const int channel : {3, 17, 64}) specs.push_back(one_layer(Op::kGlobalAvgPool, {5, 4, channel}));
  for (const int feature : {1, 17, 64}) {
    specs.push_back(one_layer(Op::kTimeMean, {9, feature}));
    for (const int units : {1, 16, 33}) {
      specs.push_back(one_layer(Op::kLstm, {8, feature}, {.units = units}));
      for (const bool after : {true, false})
        specs.push_back(one_layer(Op::kGru, {8, feature}, {.units = units, .reset_after = after}));
    }
  }
  return specs;
}

// Where values of one form meet readers of another.
std::vector<nn::NetworkSpec> networks() {
  std::vector<nn::NetworkSpec> specs;
  for (const char* name : {"vgg16", "resnet20", "lenet"})
    specs.push_back(nn::inference_spec(nn::make_zoo(name, {.width = 0.25})));
  nn::SpecBuilder joined("joined", {8, 8, 3});
  const int a = joined.add_on({nn::LayerSpec::kInput}, Op::kConv2d, "a", {.units = 17, .kernel = {3, 3}});
  const int c = joined.add_on({nn::LayerSpec::kInput}, Op::kConv2d, "c", {.units = 32, .kernel = {1, 1}});
  joined.add_on({a, c, nn::LayerSpec::kInput}, Op::kConcat, "join", {.axis = 2});
  joined.add(Op::kSlice, "cut", {.axis = 2, .begin = 5, .end = 38});
  joined.add(Op::kFlatten, "flat");
  joined.add(Op::kTanh, "tanh");
  joined.add(Op::kFc, "fc", {.units = 10});
  specs.push_back(joined.take());
  nn::SpecBuilder sequence("sequence", {6, 4, 10, 2});
  sequence.add(Op::kConv2d, "conv", {.units = 17, .kernel = {2, 3}, .stride = {1, 2}, .relu = true});
  sequence.add(Op::kReshape, "steps", {.shape = {6, 4 * 5 * 17}});
  sequence.add(Op::kGru, "gru", {.units = 12});
  sequence.add(Op::kLstm, "lstm", {.units = 9});
  sequence.add(Op::kFc, "fc", {.units = 11});
  sequence.add(Op::kTimeMean, "mean");
  specs.push_back(sequence.take());
  return specs;
}

bool runs(const Engine& engine, const nn::NetworkSpec& spec) {
  return std::ranges::all_of(spec.layers, [&](const nn::LayerSpec& layer) { return engine.supports(layer.op); });
}

// One thread unless a test says otherwise: threads that wait for each other on a busy machine take most of the time.
class EngineTest : public testing::Test {
 protected:
  void SetUp() override { core::set_threads(1); }
  void TearDown() override { core::set_threads(before_); }

 private:
  const int before_ = core::threads();
};

TEST_F(EngineTest, EveryConvolutionAgreesWithTheNativeEngine) {
  for (const std::string& name : engine_names())
    for (const nn::NetworkSpec& spec : convolutions())
      EXPECT_LE(difference(*make_engine(name), spec, 1), kTolerance) << name << " " << job_to_json(job_of(spec));
}

TEST_F(EngineTest, EveryOtherLayerAgreesWithTheNativeEngine) {
  for (const std::string& name : engine_names()) {
    const std::unique_ptr<Engine> engine = make_engine(name);
    for (const nn::NetworkSpec& spec : other_layers()) {
      if (!runs(*engine, spec)) continue;
      EXPECT_LE(difference(*engine, spec, 1), kTolerance) << name << " " << job_to_json(job_of(spec));
    }
  }
}

TEST_F(EngineTest, WholeNetworksAgreeWithTheNativeEngine) {
  for (const std::string& name : engine_names()) {
    const std::unique_ptr<Engine> engine = make_engine(name);
    int compared = 0;
    for (const nn::NetworkSpec& spec : networks()) {
      if (!runs(*engine, spec)) continue;
      ++compared;
      for (const int batch : {1, 3})
        EXPECT_LE(difference(*engine, spec, batch), kTolerance) << name << " " << spec.name;
    }
    EXPECT_GE(compared, 3) << name;
  }
}

TEST_F(EngineTest, TwoThreadsPutOutTheSame) {
  core::set_threads(2);
  const nn::NetworkSpec spec = nn::inference_spec(nn::make_zoo("resnet20", {.width = 0.25}));
  for (const std::string& name : engine_names()) EXPECT_LE(difference(*make_engine(name), spec, 1), kTolerance) << name;
}

// Without plain ends the layouts are the engine's: nothing to compare, but every op must run, and put something out.
TEST_F(EngineTest, EveryLayerRunsInTheEnginesOwnLayouts) {
  std::vector<nn::NetworkSpec> specs = convolutions();
  std::ranges::copy(other_layers(), std::back_inserter(specs));
  std::ranges::copy(networks(), std::back_inserter(specs));
  for (const std::string& name : engine_names()) {
    const std::unique_ptr<Engine> engine = make_engine(name);
    for (const nn::NetworkSpec& spec : specs) {
      if (!runs(*engine, spec)) continue;
      nn::Parameters parameters = lively(spec);
      const std::unique_ptr<Prepared> prepared = engine->prepare(spec, parameters, false);
      EXPECT_GE(static_cast<int64_t>(prepared->input().size()), spec.input.size());
      std::ranges::fill(prepared->input(), 0.5F);
      prepared->run();
      EXPECT_GE(static_cast<int64_t>(prepared->output().size()), nn::output_shapes(spec).back().size());
      EXPECT_TRUE(std::ranges::any_of(prepared->output(), [](float v) { return v != 0 && std::isfinite(v); }))
          << name << " " << job_to_json(job_of(spec));
    }
  }
}

TEST_F(EngineTest, AnOpThatItLacksIsAnErrorThatNamesTheLayer) {
  for (const std::string& name : engine_names()) {
    const std::unique_ptr<Engine> engine = make_engine(name);
    for (const nn::NetworkSpec& spec : other_layers()) {
      if (runs(*engine, spec)) continue;
      nn::Parameters parameters = lively(spec);
      try {
        engine->prepare(spec, parameters, true);
        ADD_FAILURE() << name << " ran " << nn::describe(spec.layers[0]);
      } catch (const core::Error& e) {
        EXPECT_NE(std::string(e.what()).find(nn::describe(spec.layers[0])), std::string::npos) << e.what();
      }
    }
  }
}

TEST_F(EngineTest, NamesBeginWithNative) { EXPECT_EQ(engine_names().front(), "native"); }

TEST_F(EngineTest, TheNativeOneHasEveryOp) {
  for (const nn::OpInfo* info : nn::all_ops()) EXPECT_TRUE(make_engine("native")->supports(info->op)) << info->name;
}

TEST_F(EngineTest, AnUnknownNameIsAnErrorThatListsTheKnownOnes) {
  try {
    make_engine("nativ");
    FAIL() << "nothing was thrown";
  } catch (const core::Error& e) {
    for (const std::string& name : engine_names()) EXPECT_NE(std::string(e.what()).find(name), std::string::npos);
  }
}

// Builds for ARM lack some.
#if !defined(FDI_HAVE_ONEDNN) || !defined(FDI_HAVE_XNNPACK)
TEST_F(EngineTest, OneThatIsNotBuiltInSaysWhatToInstall) {
  const std::vector<std::string> built = engine_names();
  for (const auto& [name, package] : {std::pair("onednn", "libdnnl-dev"), {"xnnpack", "libxnnpack-dev"}}) {
    if (std::ranges::find(built, name) != built.end()) continue;
    try {
      make_engine(name);
      ADD_FAILURE() << name << " was made";
    } catch (const core::Error& e) {
      EXPECT_NE(std::string(e.what()).find(name + std::string(": this program was built without it")),
                std::string::npos)
          << e.what();
      EXPECT_NE(std::string(e.what()).find(package), std::string::npos) << e.what();
    }
  }
}
#endif

TEST_F(EngineTest, TheNativeOnesVersionIsThatOfItsKernelsAndTheirCompiler) {
  const std::string version = make_engine("native")->version();
  EXPECT_EQ(version, kernels_version());
#ifdef __clang__
  const std::string compiler = "clang ";
#else
  const std::string compiler = "gcc ";
#endif
  EXPECT_TRUE(version.starts_with("r" + std::to_string(kKernelsRevision) + " " + compiler)) << version;
}

TEST_F(EngineTest, ABuildThatIsNotOptimisedIsNotTimed) {
  const bool set = test_times();
  ::unsetenv("FASTDEEPIOT_TEST_TIMES");
  EXPECT_NO_THROW(require_optimized(true));
  EXPECT_THAT(message_of([] { require_optimized(false); }),
              ::testing::AllOf(HasSubstr("-DCMAKE_BUILD_TYPE=Release"), HasSubstr("FASTDEEPIOT_TEST_TIMES=1")));
  ::setenv("FASTDEEPIOT_TEST_TIMES", "1", 1);
  EXPECT_NO_THROW(require_optimized(false));
  if (!set) ::unsetenv("FASTDEEPIOT_TEST_TIMES");
}

TEST_F(EngineTest, TellsNameAndVersion) {
  for (const std::string& name : engine_names()) {
    const std::unique_ptr<Engine> engine = make_engine(name);
    EXPECT_EQ(engine->name(), name);
    EXPECT_FALSE(engine->version().empty()) << name;
  }
}

}  // namespace
}  // namespace fdi::device
