// `compress` through the program, on made-up images: what it writes, and a kill in the middle.
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "compress/search.h"
#include "tests/cli/compress_program.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Compress : public CompressProgram {};

TEST_F(Compress, MeetsItsTarget) {
  const Result r = run(tiny("small", {"--method", "deepiot+flops", "--lambda", "0.1", "--json", "out.json"}));
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("threshold 0.700  units 6 16 120 84"));
  EXPECT_THAT(r.out, HasSubstr("test accuracy"));
  const auto json = nlohmann::json::parse(core::read_file(path("out.json")));
  for (const char* key : {"method", "accuracy", "accuracy_original", "predicted_ms", "measured_ms",
                          "measured_ms_original", "parameters", "flops", "peak_memory_mib", "widths", "seed"})
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
  const double ms = 0.4 * plant_times();
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
                          "peak_memory_mib",
                          "peak_memory_mib_original",
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
  std::vector<nlohmann::json> stages;
  for (const auto& record : whole["history"])
    if (!record["threshold"].is_null()) stages.push_back(record);
  ASSERT_FALSE(stages.empty());
  EXPECT_GT(stages.back()["lambda"].get<double>(), 0);
  EXPECT_LE(stages.back()["predicted_ms"].get<double>(), compress::kSearchRoom * ms);
  EXPECT_GT(stages[stages.size() - 2]["predicted_ms"].get<double>(), compress::kSearchRoom * ms) << "not further";
  EXPECT_EQ(whole["history"].size(), stages.size() + 10) << "then rounds of saliency";
  EXPECT_EQ(whole["history"].back()["widths"], whole["widths"]);
  EXPECT_GT(whole["history"][stages.size()]["accuracy"].get<double>(), 0);
  EXPECT_TRUE(whole["history"].back()["accuracy"].is_null()) << "the last choice is trained by fine-tuning";
  EXPECT_EQ(whole["layers"].size(), device::components(nn::load_model(path("whole/model.safetensors")).spec).size());
  EXPECT_TRUE(whole["candidates"].empty()) << "nothing was measured";
  EXPECT_EQ(whole["recipe"]["time_model"].get<std::string>().size(), 16U) << "a digest";

  for (const char* first : {"search.safetensors", "rounds.safetensors"}) {
    const std::string killed = std::string("killed ") + first;
    const pid_t child = start(fast(killed, ms));
    for (int i = 0; i < 30000 && !fs::exists(path(killed + "/" + first)); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ::kill(child, SIGKILL);
    finish(child);
    EXPECT_FALSE(fs::exists(path(killed + "/choice.json"))) << "killed too late";
  }
  // Another time model since then does not matter: the run goes by its own.
  core::write_file_atomically(path("model.json"), "{}");
  for (const std::string killed : {"killed search.safetensors", "killed rounds.safetensors"})
    for (const char* stage : {"killed in between", "killed at the end"}) {
      fs::remove(path(killed + "/result.json"));
      const Result resumed = run(fast(killed, ms, {"--resume"}));
      ASSERT_EQ(resumed.status, 0) << resumed.err;
      EXPECT_EQ(result(killed)["widths"], whole["widths"]) << stage;
      EXPECT_EQ(result(killed)["history"], whole["history"]) << stage;
      EXPECT_EQ(result(killed)["recipe"], whole["recipe"]) << stage;
      EXPECT_EQ(core::read_file(path("whole/model.safetensors")), core::read_file(path(killed + "/model.safetensors")));
      EXPECT_FALSE(fs::exists(path(killed + "/rounds.safetensors")));
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
    EXPECT_EQ(first["history"].size(), method == "uniform" ? 0 : 20);
    fs::remove(path(method + "/result.json"));
    ASSERT_EQ(run(fast(method, ms, {"--method", method, "--target-size", "50%", "--resume"})).status, 0);
    for (const char* key : {"widths", "accuracy", "history"}) EXPECT_EQ(result(method)[key], first[key]) << key;
  }
}

// What the rounds leave is timed before the last choice; a run that was killed after it keeps the choice.
TEST_F(Compress, TheKnapsackChoosesByWhatIsMeasured) {
  const double ms = 0.6 * plant_times("", 0.1);
  const auto arguments = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--method", "knapsack", "--verify", "on"});
    return fast("sack", ms, std::move(more));
  };
  const Result r = run(arguments({}));
  const nlohmann::json first = result("sack");
  const int status = first["missed"] == "" ? 0 : 1;  // the clock may say so
  ASSERT_EQ(r.status, status) << r.err;
  ASSERT_FALSE(first["candidates"].empty());
  for (const auto& c : first["candidates"]) {
    EXPECT_GT(c["measured_ms"].get<double>(), 0);
    if (c["chosen"].get<bool>()) {
      EXPECT_EQ(c["widths"], first["widths"]);
    }
  }
  EXPECT_EQ(first["history"].back()["widths"], first["widths"]);
  const std::string model = core::read_file(path("sack/model.safetensors"));
  for (const char* file : {"result.json", "model.safetensors", "checkpoint.safetensors"})
    fs::remove(path(std::string("sack/") + file));
  const Result resumed = run(arguments({"--resume"}));
  ASSERT_EQ(resumed.status, result("sack")["missed"] == "" ? 0 : 1) << resumed.err;
  for (const char* key : {"candidates", "history", "accuracy"}) EXPECT_EQ(result("sack")[key], first[key]) << key;
  EXPECT_EQ(core::read_file(path("sack/model.safetensors")), model);
}

// The search alone.
TEST_F(Compress, ChoosesByWhatIsMeasured) {
  const double ms = 0.6 * plant_times("", 0.1);
  const auto arguments = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--rounds", "0", "--verify", "on"});
    return fast("run2", ms, std::move(more));
  };
  const Result r = run(arguments({}));
  ASSERT_EQ(r.status, result("run2")["missed"] == "" ? 0 : 1) << r.err;
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
  const Result again = run(arguments({"--resume"}));
  const nlohmann::json resumed = result("run2");
  ASSERT_EQ(again.status, resumed["missed"] == "" ? 0 : 1) << again.err;
  for (const auto& record : resumed["history"]) EXPECT_FALSE(record["threshold"].is_null());
  EXPECT_EQ(resumed["candidates"], candidates) << "nothing is measured anew";
}

// Fine-tuning from the original's outputs, and what of it a resumed run may not change.
TEST_F(Compress, DistillsTheOriginal) {
  ASSERT_EQ(run(tiny("plain")).status, 0);
  const std::vector<std::string> distilled = tiny("soft", {"--distill", "0.7", "--temperature", "2"});
  ASSERT_EQ(run(distilled).status, 0) << core::read_file(path("stderr"));
  const nlohmann::json first = result("soft");
  EXPECT_EQ(first["recipe"]["fine_tune"]["distill"], (nlohmann::json{{"weight", 0.7}, {"temperature", 2.0}}));
  EXPECT_EQ(first["recipe"]["search"]["stage_steps"], 4);
  EXPECT_THAT(first["command"].get<std::string>(), HasSubstr("--distill 0.7 --temperature 2"));
  EXPECT_EQ(first["widths"], result("plain")["widths"]);
  const std::string model = core::read_file(path("soft/model.safetensors"));
  EXPECT_NE(model, core::read_file(path("plain/model.safetensors")));

  const Result other = run(tiny("soft", {"--distill", "0.7", "--temperature", "3", "--resume"}));
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("distill.temperature is 3.0, was 2.0"));
  fs::remove(path("soft/checkpoint.safetensors"));  // killed when the search was over
  fs::remove(path("soft/model.safetensors"));
  std::vector<std::string> again = distilled;
  again.emplace_back("--resume");
  ASSERT_EQ(run(again).status, 0) << core::read_file(path("stderr"));
  EXPECT_EQ(core::read_file(path("soft/model.safetensors")), model);
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

}  // namespace
}  // namespace fdi::cli
