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
  EXPECT_EQ(run_json({"fit", "--samples", "net.csv"})["ops"]["fc"]["samples"], rows / 4) << "a quarter is held out";

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
  EXPECT_EQ(run_json({"fit", "--samples", "s.csv"})["ops"]["fc"]["samples"], 15);
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
