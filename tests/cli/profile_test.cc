// From measuring to predicting, as a user does it: profile, db, fit, predict, sweep; and what is refused on the way.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/profile/samples.h"

namespace fdi::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Profiling : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    ::setenv("FASTDEEPIOT_DB", path("f.db").c_str(), 1);
    core::write_file_atomically(path("scope.json"), R"({"ops": ["fc"], "fc_dim": [1, 40]})");
  }
  void TearDown() override {
    ::unsetenv("FASTDEEPIOT_DB");
    Program::TearDown();
  }
  json run_json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--json", "-"});
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 0) << arguments[0] << ": " << r.err;
    return json::parse(r.out, nullptr, false);
  }
  void refused(const std::vector<std::string>& arguments, const std::string& message) {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2) << arguments[0];
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  }
  const std::vector<std::string> small_ = {"profile", "--scope", "scope.json", "--samples", "60", "--passes", "2"};
};

TEST_F(Profiling, FromMeasuringToPredicting) {
  refused({"fit"}, "f.db: there is no such database; `fastdeepiot profile` makes one");
  refused({"predict", "--zoo", "lenet"}, "run `fastdeepiot profile --for lenet`");

  std::vector<std::string> with_csv = small_;
  with_csv.insert(with_csv.end(), {"--csv", "s.csv"});
  const json first = run_json(with_csv);
  EXPECT_EQ(first["samples"], 60);
  EXPECT_GT(first["minutes"], 0.0);
  EXPECT_TRUE(first.contains("remeasured"));
  const json again = run_json(small_);  // all is there
  EXPECT_EQ(again["run"], first["run"]);
  EXPECT_EQ(again["remeasured"], 0);

  const json list = run_json({"db", "list"});
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["runs"][0]["readings"], 10);  // 5 jobs of a dozen layers, 2 passes
  EXPECT_NE(list[0]["runs"][0]["finished"], "");

  const json fit = run_json({"fit", "--out", "model.json", "--figures", "figures"});
  EXPECT_EQ(fit["engine"], "native");
  for (const char* key : {"samples", "mape", "mae_us", "r2", "within_5", "within_10", "noise_floor", "p_values"})
    EXPECT_TRUE(fit["ops"]["fc"].contains(key)) << key;
  EXPECT_THAT(core::read_file(path("figures/tree_fc.dot")), HasSubstr("digraph"));
  EXPECT_EQ(json::parse(core::read_file(path("figures/model.json"))), json::parse(core::read_file(path("model.json"))));
  const json from_csv = run_json({"fit", "--samples", "s.csv"});
  EXPECT_EQ(from_csv["ops"]["fc"]["samples"], fit["ops"]["fc"]["samples"]);

  // The paper's own kind of model is shown, and not what predictions are made of.
  EXPECT_THAT(run({"fit", "--features", "paper"}).out, HasSubstr("not kept in the database"));
  EXPECT_EQ(run_json({"db", "list"})[0]["models"].size(), 1U);

  core::write_file_atomically(path("net.json"), R"({"name": "n", "input": [30], "layers": [
    {"op": "fc", "name": "a", "inputs": ["input"], "units": 20},
    {"op": "fc", "name": "b", "inputs": ["a"], "units": 70}]})");
  const json predicted = run_json({"predict", "--spec", "net.json", "--measure"});
  ASSERT_EQ(predicted["layers"].size(), 2U);
  const json& a = predicted["layers"][0];
  EXPECT_EQ(a["name"], "a");
  EXPECT_LE(a["low_us"], a["predicted_us"]);
  EXPECT_GE(a["high_us"], a["predicted_us"]);
  EXPECT_GT(a["measured_us"], 0.0);
  EXPECT_NE(a["rule"], "");
  EXPECT_GT(predicted["predicted_ms"], 0.0);
  EXPECT_GT(predicted["measured_ms"], 0.0);
  ASSERT_EQ(predicted["outside_scope"].size(), 1U);
  EXPECT_THAT(predicted["outside_scope"][0].get<std::string>(), HasSubstr("b: "));

  const std::string shown = run({"predict", "--spec", "net.json"}).out;
  EXPECT_THAT(shown, HasSubstr("\nrules\n   1  fc, "));
  std::istringstream lines(shown);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120U) << line;

  refused({"predict", "--zoo", "lenet"}, "conv2d");  // was not profiled
  json other = json::parse(core::read_file(path("model.json")));
  other["device"]["cpu"] = "another";
  core::write_file_atomically(path("other.json"), other.dump());
  refused({"predict", "--spec", "net.json", "--time-model", "other.json"}, "ANOTHER DEVICE");
  const Result forced = run({"predict", "--spec", "net.json", "--time-model", "other.json", "--force"});
  EXPECT_EQ(forced.status, 0) << forced.err;
  EXPECT_THAT(forced.out, HasSubstr("ANOTHER DEVICE"));
  other["device"]["emulated"] = true;
  core::write_file_atomically(path("other.json"), other.dump());
  refused({"predict", "--spec", "net.json", "--time-model", "other.json"}, "EMULATED");

  EXPECT_EQ(run({"db", "export", "all.json"}).status, 0);
  EXPECT_EQ(run({"db", "export", "all.csv"}).status, 0);
  const std::string table = core::read_file(path("all.csv"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 61);
  EXPECT_EQ(run_json({"fit", "--samples", "all.csv"})["ops"]["fc"]["mape"], fit["ops"]["fc"]["mape"]);
  json earlier = json::parse(core::read_file(path("all.json")));
  earlier["devices"][0]["identity"]["engine_version"] = "0.0.1";
  core::write_file_atomically(path("earlier.json"), earlier.dump());
  EXPECT_EQ(run({"db", "import", "earlier.json", "--db", "earlier.db"}).status, 0);
  for (const char* command : {"fit", "predict"}) {
    std::vector<std::string> asked = {command, "--db", "earlier.db"};
    if (asked[0] == "predict") asked.insert(asked.end(), {"--spec", "net.json"});
    refused(asked, "earlier.db (what it holds is of native 0.0.1, other kernels)");
  }
  refused({"db", "remove", "--run", "5"}, "has no run 5");
  refused({"db", "show", "5"}, "no device 5");
  EXPECT_EQ(run({"db", "remove", "--device-id", "1"}).status, 0);
  EXPECT_EQ(run_json({"db", "list"}).size(), 0U);
  EXPECT_THAT(run({"db", "import", "all.json"}).out, HasSubstr("1 runs read, 10 new readings, 1 new models"));
  EXPECT_THAT(run({"db", "show", "1"}).out, HasSubstr("60 fc"));
}

// Times of cold caches are kept apart: no prediction is made of them unasked.
TEST_F(Profiling, ColdCachesMakeNoModelOfTheDevice) {
  std::vector<std::string> cold = small_;
  cold.insert(cold.end(), {"--cache", "cold"});
  const json run_of = run_json(cold);
  EXPECT_EQ(run_of["samples"], 60);
  refused({"fit"}, "f.db holds sweeps or warm and cold caches only; `fit --run N` takes those");
  const Result r = run({"fit", "--run", run_of["run"].dump()});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("not kept in the database"));
  EXPECT_EQ(run_json({"db", "list"})[0]["models"].size(), 0U);
  cold.back() = "warm";
  EXPECT_EQ(run_json(cold)["samples"], 60);
}

TEST_F(Profiling, AnAdaptiveRunStopsAtItsTargetAndGoesOnToAnother) {
  std::vector<std::string> adaptive = small_;
  adaptive.insert(adaptive.end(), {"--samples", "96", "--adaptive", "--target-mape", "100000"});
  adaptive.erase(adaptive.begin() + 3, adaptive.begin() + 5);  // small_'s own --samples
  const json first = run_json(adaptive);
  EXPECT_EQ(first["samples"], 64);  // the least
  adaptive.back() = "0.0001";
  const Result more = run(adaptive);
  EXPECT_EQ(more.status, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("going on with"));
  EXPECT_THAT(more.out, HasSubstr("64 samples:"));
  EXPECT_THAT(more.out, HasSubstr("96 samples:"));
  EXPECT_EQ(run_json({"db", "list"})[0]["runs"].size(), 1U);
  adaptive.back() = "100000";
  EXPECT_EQ(run_json(adaptive)["samples"], 64);
}

// Profile, fit and predict on a device behind an agent; where the agent dies, what was measured is there.
TEST_F(Profiling, ThroughAnAgent) {
  const std::string agent = std::string("exec:'") + FDI_AGENT + "'";
  std::vector<std::string> there = small_;
  there.insert(there.end(), {"--device", agent, "--isa", "scalar", "--threads", "2"});
  const json first = run_json(there);
  EXPECT_EQ(first["samples"], 60);
  EXPECT_THAT(first["device"].get<std::string>(), HasSubstr("scalar | 2 threads"));
  const std::vector<std::string> where = {"--device", agent, "--isa", "scalar", "--threads", "2"};
  const auto with = [&](std::vector<std::string> command) {
    command.insert(command.end(), where.begin(), where.end());
    return command;
  };
  EXPECT_EQ(run_json(with({"fit"}))["ops"]["fc"]["samples"], 60);
  core::write_file_atomically(path("net.json"), R"({"name": "n", "input": [20], "layers": [
    {"op": "fc", "name": "a", "inputs": ["input"], "units": 20}]})");
  EXPECT_GT(run_json(with({"predict", "--spec", "net.json", "--measure"}))["measured_ms"], 0.0);

  // One that passes on its greeting and three readings, and dies whenever it is started.
  core::write_file_atomically(path("dying.sh"), std::string("'") + FDI_AGENT + "' | sed -u 4q\n");
  const Result r = run({"profile", "--scope", "scope.json", "--samples", "60", "--passes", "2", "--seed", "2",
                        "--device", "exec:sh " + path("dying.sh")});
  EXPECT_EQ(r.status, 0) << r.err;  // it was started anew each time
  EXPECT_EQ(run_json({"db", "list"})[1]["runs"][0]["readings"], 10);
  core::write_file_atomically(path("dying.sh"), std::string("'") + FDI_AGENT + "' | sed -u 1q\n");
  std::vector<std::string> lost = small_;
  lost.insert(lost.end(), {"--passes", "3", "--seed", "2", "--device", "exec:sh " + path("dying.sh")});
  lost.erase(lost.begin() + 5, lost.begin() + 7);  // small_'s own --passes
  const Result gone = run(lost);
  EXPECT_EQ(gone.status, 2);
  EXPECT_THAT(gone.err, HasSubstr("lost 3 times while timing"));
  EXPECT_EQ(run_json({"db", "list"})[1]["runs"][0]["readings"], 10);  // all that was measured

  // An agent whose command says qemu is emulated: no model unless it is asked for.
  std::filesystem::create_symlink(FDI_AGENT, path("qemu-agent"));
  std::vector<std::string> emulated = small_;
  emulated.insert(emulated.end(), {"--device", "exec:" + path("qemu-agent")});
  EXPECT_EQ(run_json(emulated)["samples"], 60);
  refused({"fit", "--device", "exec:" + path("qemu-agent")}, "is an emulated device, whose times mean nothing");
  EXPECT_THAT(run({"fit", "--force", "--device", "exec:" + path("qemu-agent")}).out, HasSubstr("EMULATED"));
}

TEST_F(Profiling, ADeviceWithoutAModelIsProfiledOnce) {
  core::write_file_atomically(path("net.json"), R"({"name": "n", "input": [20], "layers": [
    {"op": "fc", "name": "a", "inputs": ["input"], "units": 20},
    {"op": "fc", "name": "b", "inputs": ["a"], "units": 20}]})");
  const std::vector<std::string> predict = {"predict", "--spec", "net.json", "--profile", "--samples", "60"};
  const json first = run_json(predict), again = run_json(predict);
  ASSERT_EQ(first["layers"].size(), 2U);
  EXPECT_EQ(again["predicted_ms"], first["predicted_ms"]);
  const json list = run_json({"db", "list"});
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["runs"].size(), 1U);
  EXPECT_EQ(list[0]["models"].size(), 1U);

  EXPECT_EQ(run({"db", "export", "net.csv"}).status, 0);  // equal layers and all
  const std::string table = core::read_file(path("net.csv"));
  const auto rows = std::count(table.begin(), table.end(), '\n') - 1;
  EXPECT_EQ(run_json({"fit", "--samples", "net.csv"})["ops"]["fc"]["held_out"], rows / 4) << "a quarter";

  EXPECT_EQ(run({"db", "export", "one.json", "--run", "1"}).status, 0);
  const json one = json::parse(core::read_file(path("one.json")));
  EXPECT_EQ(one["devices"][0]["runs"].size(), 1U);
  EXPECT_EQ(one["devices"][0]["models"].size(), 0U);
  refused({"db", "export", "none.json", "--run", "7"}, "has no run 7");
  refused({"db", "export", "none.csv", "--run", "7"}, "of run 7");
}

TEST_F(Profiling, BadSamplesAreRefusedByRow) {
  using profile::SampleSet;
  SampleSet good{profile::test_device(), {}};
  for (int out = 1; out <= 60; ++out) {
    const double us = 1 + 0.1 * out;
    good.samples.push_back(
        {profile::component(nn::Op::kFc, {{32}}, out), {us * 0.9, us, us * 1.1, 0.01, 20}, {us, us}});
  }
  const auto fit_refuses = [&](const std::string& table, const std::string& message) {
    core::write_file_atomically(path("s.csv"), table);
    refused({"fit", "--samples", "s.csv"}, message);
  };
  for (const double bad : {std::nan(""), -3.0, 0.0}) {
    SampleSet set = good;
    set.samples[4].time.median_us = bad;
    fit_refuses(format_samples_csv(set), "s.csv: row 6: median_us is");
  }
  const std::string table = format_samples_csv(good);
  SampleSet other = good;
  other.device.cpu = "another";
  const std::string others = format_samples_csv(other);
  fit_refuses(table + others.substr(others.find('\n') + 1), "s.csv: row 62: is of another device");
  fit_refuses("op,in_channel\nfc,3\n", "s.csv: row 1: the header lacks step");
  SampleSet few = good;
  few.samples.resize(5);
  fit_refuses(format_samples_csv(few), "5 samples");
  // One size is the same in all: a model all the same, of the others.
  profile::write_samples_csv(path("s.csv"), good);
  EXPECT_EQ(run_json({"fit", "--samples", "s.csv"})["ops"]["fc"]["held_out"], 15);
}

TEST_F(Profiling, AStoppedRunGoesOn) {
  std::vector<std::string> slow = small_;
  slow.back() = "400";  // passes
  const pid_t child = start(slow);
  const auto stored = [&] {
    if (!std::filesystem::exists(path("f.db"))) return 0;
    const Result list = run({"db", "list", "--json", "-"});  // may come before the tables are there
    const json devices = list.status == 0 ? json::parse(list.out) : json::array();
    return devices.empty() || devices[0]["runs"].empty() ? 0 : devices[0]["runs"][0]["readings"].get<int>();
  };
  while (stored() <= 10 && ::waitpid(child, nullptr, WNOHANG) == 0) ::usleep(20'000);
  ::kill(child, SIGKILL);
  EXPECT_EQ(finish(child).status, -1) << "the run ended before it could be killed";
  const json list = run_json({"db", "list"});
  const int kept = list[0]["runs"][0]["readings"];
  EXPECT_GT(kept, 10);
  EXPECT_EQ(list[0]["runs"][0]["finished"], "");
  const int passes = kept / 5 + 2;  // of five jobs each: some are still missing
  slow.back() = std::to_string(passes);
  const Result rest = run(slow);
  EXPECT_EQ(rest.status, 0);
  EXPECT_THAT(rest.err, HasSubstr("going on with " + std::to_string(kept) + " readings"));
  EXPECT_EQ(run_json({"db", "list"})[0]["runs"][0]["readings"], 5 * passes);
}

TEST_F(Profiling, SweepsSizes) {
  const json rows =
      run_json({"sweep", "--op", "fc", "--vary", "in_dim,out_dim=4..12:4", "--svg", "s.svg", "--csv", "s.csv"});
  ASSERT_EQ(rows.size(), 3U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(rows[i]["config"]["in_dim"], 4 * (i + 1));
    EXPECT_EQ(rows[i]["config"]["out_dim"], 4 * (i + 1));
    EXPECT_GT(rows[i]["median_us"], 0.0);
    EXPECT_GE(rows[i]["rel_mad"], 0.0);
  }
  EXPECT_THAT(core::read_file(path("s.csv")), HasSubstr("\nfc,"));
  if (std::system("command -v gnuplot >/dev/null") == 0) {
    EXPECT_THAT(core::read_file(path("s.svg")), HasSubstr("<svg"));
  }
}

// A sweep is stored as it is measured: stopped, it goes on; asked for again, it is made again. No model comes of it.
TEST_F(Profiling, AStoppedSweepGoesOn) {
  const std::vector<std::string> sweep = {"sweep", "--op", "fc", "--vary", "in_dim,out_dim=4..48:4", "--passes"};
  std::vector<std::string> asked = sweep;
  asked.emplace_back("1000");
  const pid_t child = start(asked);
  const auto stored = [&] {
    if (!std::filesystem::exists(path("f.db"))) return 0;
    const Result list = run({"db", "list", "--json", "-"});
    const json devices = list.status == 0 ? json::parse(list.out) : json::array();
    return devices.empty() || devices[0]["runs"].empty() ? 0 : devices[0]["runs"][0]["readings"].get<int>();
  };
  while (stored() <= 5 && ::waitpid(child, nullptr, WNOHANG) == 0) ::usleep(20'000);
  ::kill(child, SIGKILL);
  EXPECT_EQ(finish(child).status, -1) << "the sweep ended before it could be killed";
  const int kept = stored();
  asked.back() = std::to_string(kept + 1);
  const Result rest = run(asked);
  EXPECT_EQ(rest.status, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("going on with " + std::to_string(kept) + " readings"));
  EXPECT_EQ(stored(), kept + 1);  // one job of twelve layers
  asked.back() = "2";
  EXPECT_EQ(run(asked).status, 0);
  EXPECT_EQ(stored(), 2);
  EXPECT_THAT(run({"db", "list"}).out, HasSubstr("a sweep, 1 jobs"));
  refused({"fit"}, "holds sweeps");
}

TEST_F(Profiling, AMistypedDatabaseIsNotMade) {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"fit"}, {"db", "list"}, {"db", "show", "1"}, {"db", "export", "x.json"}, {"db", "remove", "--run", "1"}}) {
    std::vector<std::string> asked = command;
    asked.insert(asked.end(), {"--db", "typo.db"});
    refused(asked, "typo.db: there is no such database");
    EXPECT_FALSE(std::filesystem::exists(path("typo.db"))) << command[0];
  }
}

TEST_F(Profiling, MistakesNameTheRemedy) {
  refused({"profile", "--op", "conv3d"}, "op 'conv3d': unknown");
  refused({"profile", "--op", "max_pool"}, "--for MODEL");
  refused({"profile", "--for", "nowhere.safetensors"}, "nowhere.safetensors: no such file");
  refused({"profile", "--samples", "0"}, "--samples 0");
  refused({"profile", "--cache", "hot"}, "hot");
  refused({"profile", "--engine", "magic"}, "magic");
  refused({"profile", "--device", "telnet:x"}, "telnet:x");
  refused({"profile", "--isa", "avx1024"}, "avx1024");
  refused({"profile", "--threads", "0"}, "0");
  refused({"sweep"}, "--vary");
  refused({"sweep", "--vary", "out_channel=9..3"}, "A <= B");
  refused({"sweep", "--vary", "depth=1..3"}, "'depth' is no field");
  refused({"sweep", "--vary", "step=1..3"}, "conv2d has no such size");
  refused({"sweep", "--vary", "out_channel=1..3", "--in", "24y24"}, "--in");
  refused({"sweep", "--vary", "out_channel=1..3", "--in", "2", "--padding", "valid"},
          "use \"same\" or a smaller kernel");
  refused({"predict"}, "--zoo");
  refused({"db", "remove"}, "--device-id");
  core::write_file_atomically(path("bad.csv"), "op,median_us\nfc,nan\n");
  refused({"fit", "--samples", "bad.csv"}, "bad.csv: row 1: the header lacks");
  core::write_file_atomically(path("f.db"), std::string(5000, 'x'));
  refused({"db", "list"}, "damaged");
}

}  // namespace
}  // namespace fdi::cli
