// `compress` through the program, on made-up images: what it writes, what it refuses, a kill in the middle.
#include <fmt/core.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/threads.h"
#include "device/engine.h"
#include "nn/model_file.h"
#include "tests/cli/program.h"
#include "tests/compress/planted_model.h"

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
    ::setenv("FASTDEEPIOT_DB", path("none.db").c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("FASTDEEPIOT_DB");
    Program::TearDown();
  }
  // Writes model.json: made-up times of this machine, 0.1 ns per multiply-add, units in fours. Returns what lenet
  // takes.
  double plant_times(const std::string& cpu = "") const {
    core::set_threads(1);
    device::Identity device = device::this_device("native", device::make_engine("native")->version());
    core::set_threads(core::hardware_threads());
    if (!cpu.empty()) device.cpu = cpu;
    const nn::NetworkSpec spec = nn::load_model(path("run/model.safetensors")).spec;
    const auto in_fours = [](const profile::Structure& s) {
      const double out = 4 * std::ceil(s[profile::Field::kOutChannel] / 4);
      return 0.1 + 1e-4 * s[profile::Field::kPixels] * s[profile::Field::kPatch] * out;
    };
    const profile::TimeModel model = compress::planted_model(spec, in_fours, device);
    core::write_file_atomically(path("model.json"), model.to_json().dump());
    return profile::predict_network(model, spec).total_us / 1000;
  }
  nlohmann::json result(const std::string& run) const {
    return nlohmann::json::parse(core::read_file(path(run + "/result.json")));
  }
  static std::vector<std::string> fast(const std::string& out, double ms, std::vector<std::string> more = {}) {
    std::vector<std::string> a = tiny(out, {"--method", "fastdeepiot", "--time-model", "model.json", "--max-ms",
                                            fmt::format("{}", ms), "--verify", "off"});
    std::erase(a, "--target-size");
    std::erase(a, "60%");
    a.insert(a.end(), more.begin(), more.end());
    return a;
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

// A budget of time and no lambda; the same again where the run is stopped in the middle of its search, and where it is
// stopped after.
TEST_F(Compress, KeepsABudgetOfTime) {
  const double ms = 0.6 * plant_times();
  ASSERT_EQ(run(fast("whole", ms, {"--json", "out.json"})).status, 0) << core::read_file(path("stderr"));
  const nlohmann::json whole = result("whole");
  EXPECT_EQ(whole, nlohmann::json::parse(core::read_file(path("out.json"))));
  for (const char* key : {"method",
                          "accuracy",
                          "accuracy_original",
                          "predicted_ms",
                          "predicted_ms_original",
                          "measured_ms",
                          "measured_ms_original",
                          "parameters",
                          "parameters_original",
                          "flops",
                          "flops_original",
                          "peak_memory_mb",
                          "peak_memory_mb_original",
                          "widths",
                          "widths_original",
                          "seed",
                          "name",
                          "target",
                          "command",
                          "machine",
                          "engine",
                          "threads",
                          "isa",
                          "data",
                          "seconds",
                          "layers",
                          "history",
                          "candidates",
                          "forced",
                          "outside_scope"})
    EXPECT_TRUE(whole.contains(key)) << key;
  EXPECT_EQ(whole["name"], "FastDeepIoT");
  EXPECT_EQ(whole["target"], fmt::format("{:g} ms", ms));
  EXPECT_THAT(whole["command"].get<std::string>(), HasSubstr(" compress --model run/model.safetensors"));
  EXPECT_LE(whole["predicted_ms"].get<double>(), ms);
  EXPECT_GE(whole["predicted_ms"].get<double>(), 0.8 * ms) << "what fits is kept";
  EXPECT_GT(whole["predicted_ms_original"].get<double>(), ms);
  EXPECT_FALSE(whole["history"].empty());
  EXPECT_GT(whole["history"].back()["lambda"].get<double>(), 0);
  EXPECT_EQ(whole["layers"].size(), device::components(nn::load_model(path("whole/model.safetensors")).spec).size());
  EXPECT_TRUE(whole["candidates"].empty()) << "nothing was measured";

  const pid_t child = start(fast("killed", ms));
  for (int i = 0; i < 3000 && !fs::exists(path("killed/search.safetensors")); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ::kill(child, SIGKILL);
  finish(child);
  // Another time model since then does not matter: the run goes by its own.
  core::write_file_atomically(path("model.json"), "{}");
  for (const char* stage : {"killed in the search", "killed at the end"}) {
    fs::remove(path("killed/result.json"));
    const Result resumed = run(fast("killed", ms, {"--resume"}));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(result("killed")["widths"], whole["widths"]) << stage;
    EXPECT_EQ(result("killed")["history"], whole["history"]) << stage;
    EXPECT_EQ(core::read_file(path("whole/model.safetensors")), core::read_file(path("killed/model.safetensors")));
  }
}

// The baselines keep the same budgets, and a run of theirs goes on like any other.
TEST_F(Compress, BaselinesKeepBudgetsToo) {
  const double ms = 0.6 * plant_times();
  for (const std::string method : {"uniform", "knapsack"}) {
    const Result r = run(fast(method, ms, {"--method", method, "--target-size", "50%"}));
    ASSERT_EQ(r.status, 0) << r.err;
    const nlohmann::json first = result(method);
    EXPECT_EQ(first["method"], method);
    EXPECT_LE(first["predicted_ms"].get<double>(), ms);
    EXPECT_LE(first["parameters"].get<double>(), 0.5 * first["parameters_original"].get<double>());
    EXPECT_EQ(first["history"].empty(), method == "uniform");
    fs::remove(path(method + "/result.json"));
    ASSERT_EQ(run(fast(method, ms, {"--method", method, "--target-size", "50%", "--resume"})).status, 0);
    EXPECT_EQ(result(method)["widths"], first["widths"]);
    EXPECT_EQ(result(method)["accuracy"], first["accuracy"]);
  }
}

TEST_F(Compress, ChoosesByWhatIsMeasured) {
  const double ms = 0.6 * plant_times();
  const Result r = run(fast("run2", ms, {"--verify", "on"}));
  ASSERT_EQ(r.status, 0) << r.err;
  const nlohmann::json candidates = result("run2")["candidates"];
  ASSERT_FALSE(candidates.empty());
  int chosen = 0;
  for (const auto& c : candidates) {
    EXPECT_GT(c["measured_ms"].get<double>(), 0);
    if (!c["chosen"].get<bool>()) continue;
    ++chosen;
    EXPECT_EQ(c["widths"], result("run2")["widths"]);
  }
  EXPECT_EQ(chosen, 1);
  fs::remove(path("run2/result.json"));
  ASSERT_EQ(run(fast("run2", ms, {"--verify", "on", "--resume"})).status, 0);
  EXPECT_EQ(result("run2")["candidates"], candidates) << "nothing is measured anew";
}

TEST_F(Compress, RefusesBudgetsAndTimeModelsThatCannotBe) {
  const double whole = plant_times();
  const auto refused = [&](const std::vector<std::string>& arguments, const char* message) {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2);
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_FALSE(fs::exists(path("bad")));
  };
  refused(fast("bad", 1e-4), "0.0001 ms of time is below the least that this network can come to");
  refused(fast("bad", 1e-4), "most of it: ");
  refused(fast("bad", 2 * whole), "nothing to compress");
  refused(fast("bad", 0.5 * whole, {"--max-mb", "0.001"}), "0.001 MB of memory is below the least");
  refused(fast("bad", 0.5 * whole, {"--data", "synthetic:classes=5,height=16,width=16,train=160,test=40"}), "classes");
  refused(fast("bad", 0.5 * whole, {"--engine", "magic"}), "magic");
  refused(fast("bad", 0.5 * whole, {"--time-threads", "2"}), "ANOTHER DEVICE");
  plant_times("Other CPU");
  refused(fast("bad", 0.5 * whole), "ANOTHER DEVICE");
  const Result forced = run(fast("forced", 0.5 * whole, {"--force"}));
  EXPECT_EQ(forced.status, 0) << forced.err;
  EXPECT_THAT(forced.err, HasSubstr("model of ANOTHER DEVICE"));
  EXPECT_EQ(result("forced")["forced"], true);
}

// Sampled up to the network's own widths; a wider one lies outside.
TEST_F(Compress, SaysWhatWasNotSampled) {
  const double whole = plant_times();
  auto model = nlohmann::json::parse(core::read_file(path("model.json")));
  model["ops"]["fc"]["scope"]["ranges"]["out_dim"]["max"] = 100;
  core::write_file_atomically(path("model.json"), model.dump());
  const Result r = run(fast("outside", 0.95 * whole));
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("outside what was sampled: fc1: out_dim 120 > 100"));
  EXPECT_TRUE(result("outside")["outside_scope"].is_array());
}

TEST_F(Compress, ANetworkWithoutUnitsToDrop) {
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
  refused({"--method", "magic"},
          "--method magic: wanted one of deepiot, deepiot+flops, fastdeepiot, uniform, knapsack");
  refused({"--lambda", "1"}, "deepiot has no cost to weigh");
  refused({"--method", "deepiot", "--cost-as-reward"}, "deepiot has no cost");
  refused({"--gradient", "slope"}, "wanted score or path");
  refused({"--method", "fastdeepiot", "--cost-as-reward", "--gradient", "path"},
          "needs the rewards of --gradient score");
  refused({"--verify", "maybe"}, "--verify maybe: wanted on or off");
  refused({"--max-ms", "-1"}, "max_ms is -1; wanted 0 (none) or more");
  refused({"--max-ms", "1"}, "run `fastdeepiot profile --for run/model.safetensors`");
  refused({"--method", "fastdeepiot", "--lambda", "1"}, "run `fastdeepiot profile --for run/model.safetensors`");
  refused({"--resume"}, "search.safetensors is not there");
  refused({"--data", "synthetic:classes=5,height=16,width=16,train=160,test=40"}, "classes");
  refused({"--stage-steps", "0"}, "stage_steps is 0; wanted 1 or more");
}

}  // namespace
}  // namespace fdi::cli
