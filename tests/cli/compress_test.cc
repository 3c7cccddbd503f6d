// `compress` through the program, on made-up images: what it writes, what it refuses, a kill in the middle.
#include <gmock/gmock.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "nn/model_file.h"
#include "tests/cli/program.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Compress : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    const Result r = run({"train", "--zoo", "lenet", "--data", kData, "--epochs", "2", "--batch", "32", "--lr", "0.02",
                          "--threads", "1", "--out", "run"});
    ASSERT_EQ(r.status, 0) << r.err;
  }
  static std::vector<std::string> tiny(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> a = {"compress",
                                  "--model",
                                  "run/model.safetensors",
                                  "--data",
                                  kData,
                                  "--out",
                                  out,
                                  "--target-size",
                                  "60%",
                                  "--epochs",
                                  "1",
                                  "--threads",
                                  "1",
                                  "--stage-steps",
                                  "4",
                                  "--validation",
                                  "0.2",
                                  "--threshold-step",
                                  "0.05",
                                  "--search-batch",
                                  "16"};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  }
  static constexpr const char* kData = "synthetic:classes=4,height=16,width=16,train=160,test=40";
};

TEST_F(Compress, MeetsItsTarget) {
  const Result r = run(tiny("small", {"--method", "deepiot+flops", "--lambda", "0.1", "--json", "out.json"}));
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("threshold 0.700  units 6 16 120 84"));
  EXPECT_THAT(r.out, HasSubstr("test accuracy"));
  const auto json = nlohmann::json::parse(core::read_file(path("out.json")));
  for (const char* key : {"method", "accuracy", "accuracy_original", "predicted_ms", "measured_ms",
                          "measured_ms_original", "parameters", "flops", "peak_memory_mb", "widths", "seed"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["method"], "deepiot+flops");
  const nn::Model before = nn::load_model(path("run/model.safetensors"));
  const nn::Model after = nn::load_model(path("small/model.safetensors"));
  EXPECT_LE(static_cast<double>(after.parameters.all().size()),
            0.6 * static_cast<double>(before.parameters.all().size()));
  EXPECT_EQ(json["parameters"], after.parameters.all().size());
  EXPECT_EQ(after.metadata.at("classes"), before.metadata.at("classes"));
  EXPECT_EQ(run({"eval", "--model", "small/model.safetensors", "--data", kData}).status, 0);
  // The same structure again, by the file of what was kept.
  EXPECT_EQ(run({"shrink", "--model", "run/model.safetensors", "--keep", "small/keep.json", "--out", "again"}).status,
            0);
  EXPECT_EQ(nn::load_model(path("again")).spec, after.spec);
}

TEST_F(Compress, AKillCostsNothingButTime) {
  ASSERT_EQ(run(tiny("whole")).status, 0);
  const pid_t child = start(tiny("killed"));
  for (int i = 0; i < 3000 && !fs::exists(path("killed/search.safetensors")); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ::kill(child, SIGKILL);
  finish(child);
  ASSERT_TRUE(fs::exists(path("killed/search.safetensors")));
  EXPECT_EQ(run(tiny("killed")).status, 2) << "a run is not overwritten";
  const Result resumed = run(tiny("killed", {"--resume"}));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(core::read_file(path("whole/model.safetensors")), core::read_file(path("killed/model.safetensors")));
}

TEST_F(Compress, RefusesWhatCannotBe) {
  const auto refused = [&](std::vector<std::string> more, const char* message) {
    const Result r = run(tiny("bad", std::move(more)));
    EXPECT_EQ(r.status, 2);
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_FALSE(fs::exists(path("bad")));
  };
  refused({"--target-size", "0"}, "--target-size 0: wanted a part of the parameters");
  refused({"--target-size", "120%"}, "--target-size 120%: wanted");
  refused({"--method", "magic"}, "--method magic: wanted deepiot, deepiot+flops or fastdeepiot");
  refused({"--lambda", "1"}, "deepiot has no cost to weigh");
  refused({"--method", "deepiot+flops"}, "needs --lambda");
  refused({"--method", "fastdeepiot", "--lambda", "1"}, "run `fastdeepiot profile --for run/model.safetensors`");
  refused({"--resume"}, "search.safetensors is not there");
  refused({"--data", "synthetic:classes=5,height=16,width=16,train=160,test=40"}, "classes");
  refused({"--stage-steps", "0"}, "stage_steps is 0; wanted 1 or more");
}

}  // namespace
}  // namespace fdi::cli
