// What `compress` refuses, on made-up images, and what it warns of.
#include <gmock/gmock.h>

#include <algorithm>

#include "nn/zoo.h"
#include "tests/cli/compress_program.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class CompressBadInput : public CompressProgram {};

TEST_F(CompressBadInput, RefusesBudgetsAndTimeModelsThatCannotBe) {
  const double whole = plant_times();
  const auto refused = [&](const std::vector<std::string>& arguments, const char* message) {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2);
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_FALSE(fs::exists(path("bad")));
  };
  refused(fast("bad", 1e-4), "0.0001 ms of time is below the least that this network can come to");
  refused(fast("bad", 1e-4), "most of it: ");
  refused(fast("bad", 0.5 * whole, {"--max-mb", "0.001"}), "0.001 MiB of memory is below the least");
  refused(fast("bad", 0.5 * whole, {"--data", "synthetic:classes=5,height=16,width=16,train=160,test=40"}), "classes");
  refused(fast("bad", 0.5 * whole, {"--engine", "magic"}), "magic");
  refused(fast("bad", 0.5 * whole, {"--time-threads", "2"}), "ANOTHER DEVICE");
  plant_times("Other CPU");
  refused(fast("bad", 0.5 * whole), "ANOTHER DEVICE");
  refused(fast("bad", 0.5 * whole, {"--force", "--verify", "on"}), "cannot be measured here: leave out --verify on");
}

// Sampled up to the network's own widths; a wider one lies outside.
TEST_F(CompressBadInput, SaysWhatWasNotSampled) {
  const double whole = plant_times();
  auto model = nlohmann::json::parse(core::read_file(path("model.json")));
  model["ops"]["fc"]["scope"]["ranges"]["out_dim"]["max"] = 100;
  core::write_file_atomically(path("model.json"), model.dump());
  const Result r = run(fast("outside", 0.95 * whole));
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("outside what was sampled: fc1: out_dim 120 > 100"));
  EXPECT_TRUE(result("outside")["outside_scope"].is_array());
}

TEST_F(CompressBadInput, ANetworkWithoutUnitsToDrop) {
  const nn::Model model = nn::load_model(path("run/model.safetensors"));
  const nn::NetworkSpec flat{
      "flat",
      model.spec.input,
      {{nn::Op::kFlatten, "f", {nn::LayerSpec::kInput}, {}}, {nn::Op::kFc, "fc", {0}, {.units = 4}}}};
  nn::Parameters parameters(flat);
  nn::save_model(path("run/model.safetensors"), flat, parameters, model.metadata);
  const Result r = run(tiny("bad"));
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.err, HasSubstr("fc"));
  EXPECT_FALSE(fs::exists(path("bad")));
}

TEST_F(CompressBadInput, ARunGoesOnWithItsOwnNetwork) {
  ASSERT_EQ(run(tiny("small")).status, 0);
  const nn::Model model = nn::load_model(path("run/model.safetensors"));
  const nn::NetworkSpec wider = nn::make_zoo("lenet", {.width = 2, .classes = 4, .input = model.spec.input});
  nn::save_model(path("run/model.safetensors"), wider, nn::Parameters(wider), model.metadata);
  const Result r = run(tiny("small", {"--resume"}));
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.err, HasSubstr("it is the search of another network than run/model.safetensors's"));
}

TEST_F(CompressBadInput, RefusesWhatCannotBe) {
  const auto refused = [&](std::vector<std::string> more, const char* message) {
    const Result r = run(tiny("bad", std::move(more)));
    EXPECT_EQ(r.status, 2);
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_FALSE(fs::exists(path("bad")));
  };
  refused({"--target-size", "0"}, "--target-size 0: wanted a part of the parameters");
  refused({"--target-size", "120%"}, "--target-size 120%: wanted");
  refused({"--method", "magic"},
          "--method magic: wanted one of deepiot, deepiot+flops, fastdeepiot, uniform, knapsack");
  refused({"--lambda", "1"}, "deepiot has no cost to weigh");
  refused({"--method", "deepiot", "--cost-as-reward"}, "deepiot has no cost");
  refused({"--gradient", "path"}, "wanted score or slope");
  refused({"--method", "fastdeepiot", "--cost-as-reward", "--gradient", "slope"},
          "needs the rewards of --gradient score");
  refused({"--method", "uniform", "--rounds", "3"}, "--rounds 3: uniform has none");
  refused({"--method", "knapsack", "--rounds", "0"}, "--rounds 0: the knapsack wants 1 or more");
  refused({"--rounds", "-1"}, "rounds is -1; wanted 0 (none) to 1000");
  refused({"--verify", "maybe"}, "--verify maybe: wanted on or off");
  for (const char* value : {"0", "-1"}) {  // beside another budget, too
    refused({"--max-ms", value}, "wanted milliseconds of an inference, more than 0");
    refused({"--max-mb", value}, "wanted MiB of memory, more than 0");
    refused({"--method", "deepiot+flops", "--lambda", value}, "wanted units of the loss");
  }
  for (const char* flag : {"--max-ms", "--max-mb"})
    for (const std::string value : {"nan", "inf"}) refused({flag, value}, "wanted a number, e.g. 0.5");
  refused({"--max-ms", "-1"}, "--max-ms -1: wanted");
  refused({"--max-ms", "1"}, "run `fastdeepiot profile --for run/model.safetensors`");
  fs::copy_file(path("run/model.safetensors"), path("my model.safetensors"));
  std::vector<std::string> spaced = tiny("bad", {"--max-ms", "1"});
  std::ranges::replace(spaced, std::string("run/model.safetensors"), std::string("my model.safetensors"));
  EXPECT_THAT(run(spaced).err, HasSubstr("run `fastdeepiot profile --for 'my model.safetensors'`"));
  refused({"--method", "fastdeepiot", "--lambda", "1"}, "run `fastdeepiot profile --for run/model.safetensors`");
  refused({"--resume"}, "search.safetensors is not there");
  refused({"--data", "synthetic:classes=5,height=16,width=16,train=160,test=40"}, "classes");
  refused({"--distill", "1.5"}, "the weight of distillation is 1.5; wanted 0 (none) to 1");
  refused({"--distill", "0.5", "--temperature", "0"}, "the temperature of distillation is 0; wanted more than 0");
  refused({"--temperature", "2"}, "--temperature requires --distill");
  refused({"--lr", "-1"}, "lr is -1; wanted more than 0");
  refused({"--stage-steps", "0"}, "stage_steps is 0; wanted 1 or more");
}

}  // namespace
}  // namespace fdi::cli
