// From measuring to predicting, as a user does it: profile, db, fit, predict, sweep; and what is refused on the way.
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/measuring_lock.h"
#include "tests/cli/profiling_program.h"
#include "tests/profile/samples.h"

namespace fdi::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// Layers whose times grow by 0.1 us; one pass is `spread` slower than the other.
profile::SampleSet fc_samples(double spread) {
  profile::SampleSet set{profile::test_device(), {}};
  for (int out = 1; out <= 60; ++out) {
    const double us = 1 + 0.1 * out;
    set.samples.push_back(
        {profile::component(nn::Op::kFc, {{32}}, out), {us * 0.9, us, us * 1.1, 0.01, 20}, {us, us * (1 + spread)}});
  }
  return set;
}

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
  EXPECT_TRUE(fit["ops"]["fc"]["p_values"]["FLOPs"].is_number());
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

  const json narrowed = run_json({"predict", "--spec", "net.json", "--narrowed", "3", "--measure"});
  ASSERT_EQ(narrowed["networks"].size(), 3U);
  double worst = 0;
  for (const json& network : narrowed["networks"]) {
    EXPECT_LE(network["network"]["layers"][0]["units"], 20);
    EXPECT_EQ(network["network"]["layers"][1]["units"], 70);  // the output
    const double measured = network["measured_ms"], told = network["predicted_ms"];
    worst = std::max(worst, std::abs(told / measured - 1));
  }
  EXPECT_NEAR(narrowed["worst_error"], worst, 1e-9);  // from microseconds there, from milliseconds here
  EXPECT_LE(narrowed["median_error"], worst);
  EXPECT_FALSE(run_json({"predict", "--spec", "net.json", "--narrowed", "3"}).contains("worst_error"));
  refused({"predict", "--spec", "net.json", "--narrowed", "0"}, "--narrowed 0: wanted 1 to 100");

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
  json zero = json::parse(core::read_file(path("all.json")));
  zero["devices"][0]["models"] = json::array();
  for (json& reading : zero["devices"][0]["runs"][0]["readings"])
    for (json& layer : reading["reading"]["layers"])
      for (const char* time : {"min_us", "median_us", "mean_us"}) layer[time] = 0;
  core::write_file_atomically(path("zero.json"), zero.dump());
  EXPECT_EQ(run({"db", "import", "zero.json", "--db", "zero.db"}).status, 0);
  refused({"fit", "--db", "zero.db"}, "zero.db holds only layers timed at 0 us (run 1)");
  refused({"fit", "--isa", "scalar"}, "f.db (what it holds is of ISA ");
  refused({"fit", "--threads", "2"}, "f.db (what it holds is of 1 thread)");
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
  const SampleSet good = fc_samples(0);
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
  fit_refuses("op,in_channel\nfc,3\n", "s.csv: row 1: the header lacks median_us");
  SampleSet few = good;
  few.samples.resize(5);
  fit_refuses(format_samples_csv(few), "5 samples");
  // One size is the same in all: a model all the same, of the others.
  profile::write_samples_csv(path("s.csv"), good);
  EXPECT_EQ(run_json({"fit", "--samples", "s.csv"})["ops"]["fc"]["held_out"], 15);
}

// A database that cannot take the model: what was fitted is printed and written all the same.
TEST_F(Profiling, ALockedDatabaseLosesNothingOfAFit) {
  EXPECT_EQ(run_json(small_)["samples"], 60);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path("f.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const Result r = run({"fit", "--out", "m.json"});
  sqlite3_close(other);
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("the model is not kept: " + path("f.db") + ": locked by another process"));
  EXPECT_THAT(r.out, HasSubstr("fc  (60 samples; 15 held out"));
  EXPECT_THAT(r.out, Not(HasSubstr("\nmodel ")));
  EXPECT_EQ(json::parse(core::read_file(path("m.json")))["device"]["engine"], "native");
  EXPECT_EQ(run_json({"db", "list"})[0]["models"].size(), 0U);
}

// What two passes disagree about no prediction can tell.
TEST_F(Profiling, NoisySamplesAreSaid) {
  core::write_file_atomically(path("net.json"), R"({"name": "n", "input": [32], "layers": [
    {"op": "fc", "name": "a", "inputs": ["input"], "units": 20}, {"op": "fc", "name": "b", "inputs": ["a"], "units": 20}]})");
  for (const double spread : {0.01, 0.085}) {
    profile::write_samples_csv(path("s.csv"), fc_samples(spread));
    const Result fitted = run({"fit", "--samples", "s.csv", "--out", "m.json"});
    const Result predicted = run({"predict", "--spec", "net.json", "--time-model", "m.json", "--force"});
    for (const Result& r : {fitted, predicted}) {
      EXPECT_EQ(r.status, 0) << r.err;
      const size_t at = r.err.find("samples are noisy: two halves of the passes over them differ by fc 8.5%");
      EXPECT_EQ(at != std::string::npos, spread > 0.03) << r.err;
      if (at != std::string::npos) {
        EXPECT_EQ(r.err.find("noisy", at + 20), std::string::npos) << "said once";
        EXPECT_THAT(r.err, HasSubstr("predictions cannot be more precise than that; run `fastdeepiot profile --seed N` "
                                     "(another seed) on a quiet machine, then `fastdeepiot fit --run M`"));
      }
    }
  }
}

TEST_F(Profiling, AnOpWithTooFewSamplesIsLeftOut) {
  profile::SampleSet set = fc_samples(0);
  const double us = 5;
  for (int out = 1; out < 6; ++out)
    set.samples.push_back({profile::component(nn::Op::kLstm, {{8, 3}}, out), {us, us, us, 0.01, 20}, {us, us}});
  profile::write_samples_csv(path("s.csv"), set);
  const Result r = run({"fit", "--samples", "s.csv", "--json", "fit.json"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("lstm is left out: 5 samples, and a model needs 20; profile more of it"));
  const json ops = json::parse(core::read_file(path("fit.json")))["ops"];
  EXPECT_EQ(ops.size(), 1U);
  EXPECT_TRUE(ops.contains("fc"));
}

// A table from a pipe, as of `fit --samples <(zcat x.csv.gz)`; what of it is left out is said.
TEST_F(Profiling, SamplesFromAPipe) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string table = format_samples_csv(fc_samples(0));
  const pid_t child = start({"fit", "--samples", "pipe"});
  { std::ofstream(path("pipe")) << table << table; }
  const Result r = finish(child);
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("pipe: 60 rows are there already, and count once"));
  EXPECT_THAT(r.out, HasSubstr("fc  (60 samples; 15 held out"));
}

TEST_F(Profiling, ReadingWritesNothing) {
  core::write_file_atomically(path("zero.db"), "");
  EXPECT_THAT(run({"db", "list", "--db", "zero.db"}).out, HasSubstr("zero.db: empty"));
  EXPECT_EQ(run({"predict", "--zoo", "lenet", "--db", "zero.db"}).status, 2);
  EXPECT_EQ(run({"fit", "--db", "zero.db"}).status, 2);
  refused({"db", "show", "--db", "zero.db"}, "which of 0 devices? `fastdeepiot db list` gives their numbers");
  EXPECT_EQ(std::filesystem::file_size(path("zero.db")), 0U);
  refused({"db", "import", "samples.csv"}, "`fastdeepiot fit --samples` reads it");
  EXPECT_FALSE(std::filesystem::exists(path("f.db")));
  EXPECT_THAT(run({"db", "remove", "--help"}).out, HasSubstr("Example:\n  fastdeepiot db remove --run 3"));
  EXPECT_THAT(run({"fit", "--help"}).out, HasSubstr("Samples that were measured on so many threads"));
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
  refused({"sweep", "--vary", "depth=1..3"}, "conv2d has no size 'depth'; it has in_height, in_width, in_channel");
  refused({"sweep", "--vary", "step=1..3"}, "conv2d has no size 'step'");
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

// Figure 4, of an engine that takes `more` us longer where out_channel is no multiple of 16: the sentence on the
// terminal and the picture say the same.
TEST_F(Profiling, DrawsWhereWideningIsFaster) {
  const auto fitted = [&](double more, int from) {
    profile::SampleSet set{profile::test_device(), {}};
    for (int i = 0; i < 400; ++i) {
      const int in = from + i * 37 % 61, out = i % 2 == 0 ? 16 * (1 + i * 7 % 8) : 1 + i * 29 % 128;
      const double us = 3 + 0.01 * in * out + (out % 16 == 0 ? 0 : more);
      set.samples.push_back({profile::conv(24, in, out), {us, us, us, 0.01, 20}, {us, us}});
    }
    profile::write_samples_csv(path("c.csv"), set);
    const Result r = run({"fit", "--samples", "c.csv", "--features", "paper", "--figures", "four"});
    EXPECT_EQ(r.status, 0) << r.err;
    return r.err;
  };
  const std::string said = fitted(6, 3);
  EXPECT_THAT(said, HasSubstr("figure 4: expand out_channel to multiples of 16: faster within [1, "));
  EXPECT_THAT(said, HasSubstr(" samples); not measured: the device of the samples is not at hand"));
  const json region = json::parse(core::read_file(path("four/safe_region.json")));
  EXPECT_NEAR(region["regions"][0]["square"], 39, 3);  // 0.01 * 15 channels * in_channel < 6
  const std::string script = core::read_file(path("four/safe_region.gp"));
  EXPECT_THAT(script, HasSubstr("set title 'Where a 3x3 convolution of 24x24 gets faster by widening out_channel"));
  EXPECT_THAT(script, HasSubstr("not measured"));
  EXPECT_THAT(script, HasSubstr("set xrange [0:128]"));
  EXPECT_THAT(script, HasSubstr("set xtics norotate 16"));
  EXPECT_THAT(fitted(0, 3), HasSubstr("figure 4: there is none"));
  EXPECT_FALSE(std::filesystem::exists(path("four/safe_region.svg")));
  EXPECT_EQ(json::parse(core::read_file(path("four/safe_region.json")))["regions"].size(), 0U);
  // A little faster, but for less than is lost where a layer has one channel.
  const std::string nowhere = fitted(0.1, 3);
  EXPECT_THAT(nowhere, HasSubstr("figure 4: there is none"));
  EXPECT_FALSE(std::filesystem::exists(path("four/safe_region.gp"))) << nowhere;
}

// On the device of the samples, layers of the region are timed before and after widening.
TEST_F(Profiling, TimesTheSafeRegion) {
  run_json({"sweep", "--vary", "in_channel=3..3", "--passes", "2", "--csv", "one.csv"});
  profile::SampleSet set = profile::read_samples_csv(path("one.csv"));
  const profile::Sample like = set.samples[0];
  set.samples.clear();
  for (int i = 0; i < 400; ++i) {
    const int in = 1 + i * 37 % 61, out = i % 2 == 0 ? 16 * (1 + i / 2 % 4) : 1 + i * 29 % 64;
    const double us = 3 + 0.01 * in * out + (out % 16 == 0 ? 0 : 20);
    profile::Sample sample = like;
    sample.component = profile::conv(8, in, out);
    sample.time = {us, us, us, 0.01, 20};
    sample.pass_us = {us, us};
    set.samples.push_back(sample);
  }
  profile::write_samples_csv(path("c.csv"), set);
  const Result r = run({"fit", "--samples", "c.csv", "--features", "paper", "--figures", "four"});
  EXPECT_EQ(r.status, 0) << r.err;
  const json measured = json::parse(core::read_file(path("four/safe_region.json")))["measured"];
  EXPECT_EQ(measured["of"], 10);
  ASSERT_EQ(measured["pairs"].size(), 10U);
  for (const json& pair : measured["pairs"]) {
    EXPECT_GT(pair["before_us"], 0.0);
    EXPECT_GT(pair["after_us"], 0.0);
    EXPECT_NE(pair["out_channel"].get<int>() % 16, 0);
  }
  EXPECT_THAT(r.err, HasSubstr(" of 10 layers of the region were faster when measured"));
  EXPECT_THAT(core::read_file(path("four/safe_region.gp")), HasSubstr(" of 10 layers of the region were faster"));

  const MeasuringLock lock(path("f.db"), "local");  // another process measures
  const Result busy = run({"fit", "--samples", "c.csv", "--features", "paper", "--figures", "four"});
  EXPECT_EQ(busy.status, 0) << busy.err;
  EXPECT_THAT(busy.err, HasSubstr("; not measured: local: is being measured already, by process "));
  EXPECT_TRUE(json::parse(core::read_file(path("four/safe_region.json")))["measured"].is_null());
}

}  // namespace
}  // namespace fdi::cli
