// `report` through the program, on results made by hand: every figure is on the page, the page needs nothing beside
// itself, and what cannot be read is named.
#include "device/component.h"
#include "device/engine.h"
#include "nn/model_file.h"
#include "nn/unit_groups.h"
#include "nn/zoo.h"
#include "profile/time_model.h"
#include "tests/cli/report_program.h"
#include "tests/compress/stepped_model.h"

namespace fdi::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Report : public ReportProgram {};

bool has_gnuplot() { return std::system("command -v gnuplot >/dev/null") == 0; }

TEST_F(Report, ShowsEveryRun) {
  write_two();
  json third = compress_result("deepiot", "DeepIoT", 0.7, 0.5);
  third["candidates"] = {{{"predicted_ms", 0.52}, {"measured_ms", 0.543}, {"widths", {3}}, {"chosen", true}}};
  write("runs/slow.result.json", third);
  const Result r = run({"report", "runs", "--json", "results.json", "--db", "none.db", "--figures", "figures"});
  ASSERT_EQ(r.status, 0) << r.err;
  const std::string page = core::read_file(path("runs/report.html"));
  for (const char* figure : {"74.10%",
                             "74.90%",
                             "70.00%",
                             "75.00%",
                             "0.640",
                             "0.321",
                             "0.500",
                             "1.000",
                             "0.543",
                             "0.800",
                             "0.401",
                             "1.25",
                             "0.0154 M",
                             "0.22 M",
                             "0.12",
                             "25% of the parameters",
                             "seed 7",
                             "1 min 35 s",
                             "--out runs/fastdeepiot",
                             "board | cpu | native",
                             "avx2",
                             "cifar10"})
    EXPECT_NE(page.find(figure), std::string::npos) << figure;  // the page is long
  EXPECT_THAT(page,
              HasSubstr("FastDeepIoT makes the network 3.1 times as fast: 0.321 ms instead of 1.000 ms, at 74.90% "
                        "accuracy (the original&#39;s is 75.00%)."));
  EXPECT_THAT(page, HasSubstr("There is no time model of this device"));
  EXPECT_THAT(page, Not(HasSubstr("different")));
  EXPECT_EQ(faults("runs/report.html"), "");
  EXPECT_THAT(r.out, HasSubstr("fc1                        120"));
  EXPECT_THAT(r.out, HasSubstr("page: runs/report.html"));

  const json results = json::parse(core::read_file(path("results.json")));
  EXPECT_EQ(results["machine"], "board | cpu | native");
  EXPECT_EQ(results["seed"], 7);
  EXPECT_EQ(results["data"], "cifar10");
  ASSERT_EQ(results["rows"].size(), 4U);
  EXPECT_EQ(results["rows"][0]["method"], "original");
  EXPECT_EQ(results["rows"][0]["measured_ms"], 1.0);
  EXPECT_EQ(results["rows"][0]["widths"]["fc1"], 120);
  EXPECT_EQ(results["rows"][1]["measured_ms"], 0.5) << "runs of a method stand by time";
  EXPECT_EQ(results["rows"][3]["method"], "fastdeepiot");
  for (const char* key : {"accuracy", "accuracy_original", "predicted_ms", "measured_ms", "measured_ms_original",
                          "parameters", "flops", "peak_memory_mib", "widths", "seed"})
    EXPECT_EQ(results["rows"][3][key], compress_result("fastdeepiot", "FastDeepIoT", 0.749, 0.321)[key]) << key;

  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed: no pictures";
  for (const char* title : {"Accuracy against time", "Accuracy against size", "Where the time goes",
                            "How wide the layers are", "How the search went"})
    EXPECT_THAT(page, HasSubstr(fmt::format("<h3>{}</h3>\n<div class=\"scroll\" tabindex=\"0\"><svg", title)));
  EXPECT_THAT(core::read_file(path("figures/history.gp")), HasSubstr("set xtics norotate 20\n")) << "100 to 200";
  // The data of the pictures: a column per method, all runs in it.
  EXPECT_EQ(core::read_file(path("figures/accuracy_time.plot.csv")),
            "measured time (ms),Original,DeepIoT,FastDeepIoT\n0.321,,,74.9\n0.5,,70,\n0.64,,74.1,\n1,75,,\n");
  EXPECT_EQ(core::read_file(path("figures/layer_times.plot.csv")),
            ",Original,DeepIoT,FastDeepIoT\nconv1,400,210,210\nconv2,500,300,300\nothers,2,1,1\n");
}

// Results of earlier versions: the same MiB under another name.
TEST_F(Report, ReadsTheMemoryUnderItsEarlierName) {
  json old = compress_result("deepiot", "DeepIoT", 0.741, 0.640);
  for (const std::string suffix : {"", "_original"}) {
    old["peak_memory_mb" + suffix] = old["peak_memory_mib" + suffix];
    old.erase("peak_memory_mib" + suffix);
  }
  write("runs/result.json", old);
  const Result r = run({"report", "runs", "--db", "none.db", "--json", "results.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const json rows = json::parse(core::read_file(path("results.json")))["rows"];
  EXPECT_EQ(rows[1]["peak_memory_mib"], 0.125);
  EXPECT_EQ(rows[1]["peak_memory_mib_original"], 0.5);
}

TEST_F(Report, DrawsNoThresholdWhereThereIsNone) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  write_two();
  json rounds = compress_result("knapsack", "saliency knapsack", 0.745, 0.4);
  for (json& stage : rounds["history"]) stage["threshold"] = nullptr;
  write("runs/c/result.json", rounds);
  ASSERT_EQ(run({"report", "runs", "--db", "none.db", "--figures", "figures"}).status, 0)
      << core::read_file(path("stderr"));
  const auto first_line = [&](const char* file) {
    const std::string text = core::read_file(path(file));
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(first_line("figures/history.plot3.csv"), "iteration,DeepIoT,FastDeepIoT,saliency knapsack");
  EXPECT_EQ(first_line("figures/history.plot4.csv"), "iteration,DeepIoT,FastDeepIoT");
}

TEST_F(Report, CountsAWidenedNetworkToTheRunThatItCameFrom) {
  write_two();
  json other = compress_result("fastdeepiot", "FastDeepIoT", 0.749, 0.321);
  other["widths"]["conv1"] = 2;
  write("runs/b/result.json", other);
  const json base = compress_result("deepiot", "DeepIoT", 0.741, 0.640);
  json wide = base;
  for (const char* key : {"name", "data", "accuracy", "accuracy_original", "history", "target"}) wide.erase(key);
  wide["method"] = "expand";
  wide["widths_original"] = base["widths"];
  wide["widths"]["conv1"] = 4;
  wide["measured_ms_original"] = base["measured_ms"];
  wide["measured_ms"] = 0.55;
  write("runs/a/wide.safetensors.result.json", wide);  // not looked for there
  write("runs/wide.result.json", wide);
  const Result r = run({"report", "runs", "--db", "none.db", "--json", "results.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const json rows = json::parse(core::read_file(path("results.json")))["rows"];
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[2]["method"], "deepiot+localmin");
  EXPECT_EQ(rows[2]["name"], "DeepIoT+localMin");
  EXPECT_EQ(rows[2]["accuracy"], 0.741);
  EXPECT_EQ(rows[2]["measured_ms"], 0.55);
  EXPECT_EQ(rows[2]["measured_ms_original"], 1.0);
  EXPECT_EQ(rows[2]["widths"]["conv1"], 4);
  EXPECT_EQ(rows[2]["widths_original"]["conv1"], 6);

  wide["widths_original"]["conv1"] = 5;  // of a network that is not here: a part of its own
  write("runs/wide.result.json", wide);
  const Result alone = run({"report", "runs", "--db", "none.db"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  EXPECT_THAT(core::read_file(path("runs/report.html")), HasSubstr("These runs are of 2 devices"));
  EXPECT_THAT(alone.out, HasSubstr("The original takes 0.640 ms."));
}

// Two runs of equal widths: only the digest of the model tells which of them was widened.
TEST_F(Report, KnowsAWidenedNetworkByItsDigest) {
  json one = compress_result("uniform", "uniform width", 0.731, 0.640);
  json other = compress_result("uniform", "uniform width", 0.741, 0.641);
  json wide = one;
  for (const char* key : {"name", "data", "accuracy", "accuracy_original", "history", "target"}) wide.erase(key);
  wide["method"] = "expand";
  wide["widths_original"] = one["widths"];
  wide["measured_ms"] = 0.55;
  write("runs/a/result.json", one);
  write("runs/b/result.json", other);
  write("runs/wide.result.json", wide);
  const Result unknown = run({"report", "runs", "--db", "none.db"});
  ASSERT_EQ(unknown.status, 0) << unknown.err;
  EXPECT_THAT(unknown.err, HasSubstr("runs/wide.result.json: 2 runs have the widths that it began with"));
  EXPECT_THAT(unknown.out, Not(HasSubstr("localMin")));
  one["model_digest"] = "1";
  other["model_digest"] = wide["base_digest"] = "2";
  write("runs/a/result.json", one);
  write("runs/b/result.json", other);
  write("runs/wide.result.json", wide);
  ASSERT_EQ(run({"report", "runs", "--db", "none.db", "--json", "all.json"}).status, 0);
  const json rows = json::parse(core::read_file(path("all.json")))["rows"];
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[3]["name"], "uniform width+localMin");
  EXPECT_EQ(rows[3]["accuracy"], 0.741);
  wide["base_digest"] = "3";
  write("runs/wide.result.json", wide);
  const Result alone = run({"report", "runs", "--db", "none.db"});
  EXPECT_THAT(alone.out, Not(HasSubstr("localMin")));
}

// The luckiest seed is not the method's figure.
TEST_F(Report, TakesTheMeanOfSeeds) {
  const std::vector<double> accuracy = {0.742, 0.748, 0.748}, ms = {0.5, 0.46, 0.51};
  for (int seed = 1; seed <= 3; ++seed) {
    const auto at = static_cast<size_t>(seed - 1);
    json r = compress_result("deepiot", "DeepIoT", accuracy[at], ms[at]);
    r["seed"] = seed;
    r["recipe"] = {{"search", {{"stage_steps", 100}, {"seed", seed}}}, {"fine_tune", {{"seed", seed}}}};
    r["widths"]["fc1"] = 58 + seed;
    write(fmt::format("runs/{}/result.json", seed), r);
  }
  const Result r = run({"report", "runs", "--db", "none.db"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("74.60% (74.20% to 74.80%)"));
  EXPECT_THAT(r.out, HasSubstr("0.490 (0.460 to 0.510)"));
  EXPECT_THAT(r.out, HasSubstr("60 (59 to 61)"));
  EXPECT_THAT(r.out, HasSubstr("1, 2, 3"));
  EXPECT_THAT(r.out, HasSubstr("DeepIoT (mean of 3 seeds) makes the network 2.0 times as fast: 0.490 ms"));
  // With other steps it is another run, which counts by itself.
  json other = json::parse(core::read_file(path("runs/2/result.json")));
  other["recipe"]["search"]["stage_steps"] = 200;
  write("runs/2/result.json", other);
  EXPECT_THAT(run({"report", "runs", "--db", "none.db"}).out, HasSubstr("DeepIoT makes the network 2.2 times as fast"));
}

// Run again with the same seed it is no second seed.
TEST_F(Report, CountsEverySeedOnce) {
  for (int i = 1; i <= 2; ++i) {
    json r = compress_result("deepiot", "DeepIoT", 0.748, 0.5);
    r["recipe"] = {{"search", {{"stage_steps", 100}, {"seed", 7}}}, {"time_model", "1"}};
    write(fmt::format("runs/{}/result.json", i), r);
  }
  const Result r = run({"report", "runs", "--db", "none.db"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("7 (2 runs)"));
  EXPECT_THAT(r.out, HasSubstr("DeepIoT (mean of 2 runs) makes the network 2.0 times as fast"));
  // On another time model it is another run, which counts by itself.
  json other = json::parse(core::read_file(path("runs/2/result.json")));
  other["recipe"]["time_model"] = "2";
  other["seed"] = 8;
  write("runs/2/result.json", other);
  EXPECT_THAT(run({"report", "runs", "--db", "none.db"}).out, HasSubstr("DeepIoT makes the network 2.0 times as fast"));
}

// Widened in two ways it is no two seeds of one method.
TEST_F(Report, KeepsExpansionsApart) {
  json base = compress_result("deepiot", "DeepIoT", 0.748, 0.64);
  base["recipe"] = {{"search", {{"seed", 7}}}};
  base["model_digest"] = "1";
  write("runs/a/result.json", base);
  json wide = base;
  for (const char* key : {"name", "data", "accuracy", "accuracy_original", "history", "target", "recipe"})
    wide.erase(key);
  wide["method"] = "expand";
  wide["widths_original"] = base["widths"];
  wide["base_digest"] = "1";
  wide["verify"] = "on";
  wide["expand"] = "joint";
  wide["measured_ms"] = 0.5;
  write("runs/joint/result.json", wide);
  wide["expand"] = "paper";
  wide["measured_ms"] = 0.6;
  write("runs/paper/result.json", wide);
  const Result apart = run({"report", "runs", "--db", "none.db"});
  ASSERT_EQ(apart.status, 0) << apart.err;
  EXPECT_THAT(apart.out, HasSubstr("DeepIoT+localMin makes the network 2.0 times as fast: 0.500 ms"));
  wide["expand"] = "joint";
  write("runs/paper/result.json", wide);
  EXPECT_THAT(run({"report", "runs", "--db", "none.db"}).out, HasSubstr("DeepIoT+localMin (mean of 2 runs)"));
}

// By another device's time model: shown as that device's, with no clock's times, also in results that have some.
TEST_F(Report, ShowsForcedRunsAsPredictions) {
  write_two();
  json forced = compress_result("knapsack", "saliency knapsack", 0.749, 0.2);
  forced["forced"] = true;
  forced["machine"] = "phone";
  forced["missed"] = "0.25 ms of time (predicted), the budget 0.2 ms of time";
  write("runs/c/result.json", forced);
  const Result r = run({"report", "runs", "--db", "none.db", "--json", "all.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const json rows = json::parse(core::read_file(path("all.json")))["rows"];
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[4]["name"], "saliency knapsack (predicted)");
  EXPECT_EQ(rows[4]["machine"], "phone");
  EXPECT_TRUE(rows[4]["measured_ms"].is_null());
  EXPECT_EQ(rows[4]["forced"], true);
  EXPECT_THAT(r.out, HasSubstr("Saliency knapsack (predicted) makes the network 3.6 times as fast: 0.250 ms instead of "
                               "0.900 ms"));
  EXPECT_THAT(r.out, HasSubstr("These times are predicted, not measured."));
  EXPECT_THAT(r.out, HasSubstr("It misses its budget: 0.25 ms of time (predicted), the budget 0.2 ms of time."));
  EXPECT_THAT(r.out, HasSubstr("25% of the parameters, missed"));
  EXPECT_THAT(core::read_file(path("runs/report.html")), HasSubstr("the budget is missed: 0.25 ms of time"));
  EXPECT_EQ(faults("runs/report.html"), "");
}

// Older results of forced runs name the machine that they were made on; what lies beside newer ones is not asked.
TEST_F(Report, NamesTheDeviceOfOlderForcedRuns) {
  device::Identity phone = device::this_device("onednn", "3");
  phone.cpu = "Phone";
  phone.isa = "neon";
  phone.threads = 2;
  json forced = compress_result("deepiot", "DeepIoT", 0.749, 0.2);
  forced["forced"] = true;
  forced["recipe"] = {{"choose_by", "model"}};
  write("run/result.json", forced);
  write("run/time_model.json", compress::planted_model({}, phone).to_json());
  const auto row = [&] {
    const Result r = run({"report", "run", "--db", "none.db", "--json", "all.json", "--out", "page.html"});
    EXPECT_EQ(r.status, 0) << r.err;
    return json::parse(core::read_file(path("all.json")))["rows"][1];
  };
  EXPECT_EQ(row()["machine"], forced["machine"]);
  forced["recipe"].erase("choose_by");
  write("run/result.json", forced);
  const json older = row();
  EXPECT_EQ(older["machine"], device::key(phone));
  EXPECT_EQ(older["engine"], "onednn");
  EXPECT_EQ(older["isa"], "neon");
  EXPECT_EQ(older["threads"], 2);
}

TEST_F(Report, LeavesOutWhatOthersWrote) {
  write_two();
  write("runs/mine/result.json", {{"accuracy", 0.8}});
  const Result r = run({"report", "runs", "--db", "none.db"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("runs/mine/result.json: is left out: it has no \"method\""));
  const Result alone = run({"report", "runs/mine", "--db", "none.db"});
  EXPECT_EQ(alone.status, 2);
  EXPECT_THAT(alone.err, HasSubstr("runs/mine: holds no result of `fastdeepiot compress`"));
}

// Runs on other images of one set, or with another augmentation, are no match for each other.
TEST_F(Report, KeepsWhatWasTakenOfTheDataApart) {
  write_two();
  json few = compress_result("deepiot", "DeepIoT", 0.6, 0.5);
  few["data"] = {{"name", "cifar10"}, {"limit", 1000}, {"method", "deepiot"}};
  write("runs/c/result.json", few);
  const Result r = run({"report", "runs", "--db", "none.db"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(core::read_file(path("runs/report.html")),
              HasSubstr("<h2>board | cpu | native; cifar10, 1000 images of each split</h2>"));
}

TEST_F(Report, DrawsTheTimeLandscape) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  const nn::NetworkSpec original = nn::make_zoo("lenet");
  const nn::UnitGroups groups = nn::unit_groups(original);
  const device::Identity here = device::this_device("native", "1");
  profile::SampleSet set{here, {}};
  for (int i = 0; i < 60; ++i) {
    const std::vector<int> widths = {1 + i % 6, 1 + (i * 7) % 16, 2 * i + 1, i + 2};
    for (const device::Component& c : device::components(nn::with_widths(original, groups, widths))) {
      profile::Sample sample{c, {}, {}};
      sample.time.median_us = 1 + 0.5 * c.layer.attr.units + 0.001 * static_cast<double>(c.in[0].size());
      sample.pass_us = {sample.time.median_us, sample.time.median_us};
      set.samples.push_back(sample);
    }
  }
  write("time.json", profile::TimeModel::fit(set).to_json());
  const nn::NetworkSpec small = nn::with_widths(original, groups, std::vector<int>{3, 8, 60, 42});
  const nn::Parameters parameters(small);
  json run_result = compress_result("fastdeepiot", "FastDeepIoT", 0.749, 0.321);
  run_result["machine"] = device::key(here);
  write("run/result.json", run_result);
  nn::save_model(path("run/model.safetensors"), small, parameters, {});
  const Result r = run({"report", "run", "--time-model", "time.json", "--figures", "figures"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(core::read_file(path("run/report.html")),
              HasSubstr("<h3>The time landscape</h3>\n<div class=\"scroll\" tabindex=\"0\"><svg"));
  EXPECT_EQ(faults("run/report.html"), "");
  // A curve over all widths up to the original's, and the mark.
  const std::string data = core::read_file(path("figures/landscape.plot.csv"));
  EXPECT_THAT(data, HasSubstr("\n6,"));
  EXPECT_THAT(data, Not(HasSubstr("\n7,")));
  EXPECT_THAT(data, ::testing::ContainsRegex("\n3,[0-9.]+,[0-9.]+\n4,[0-9.]+,\n"));

  // The model that the run used lies beside its result.
  std::filesystem::copy_file(path("time.json"), path("run/time_model.json"));
  ASSERT_EQ(run({"report", "run", "--db", "none.db", "--out", "beside.html"}).status, 0);
  EXPECT_THAT(core::read_file(path("beside.html")),
              HasSubstr("<h3>The time landscape</h3>\n<div class=\"scroll\" tabindex=\"0\"><svg"));

  run_result["machine"] = "another";
  write("run/result.json", run_result);
  const Result other = run({"report", "run", "--time-model", "time.json"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("but the runs are of another"));
}

TEST_F(Report, EscapesNames) {
  json odd = compress_result("deepiot", "<b>Deep & \"IoT\"</b>, 'x'", 0.74, 0.6);
  odd["command"] = "compress --model '</pre><script>alert(1)</script>'";
  odd["data"]["name"] = "<img src=x>";
  write("run/result.json", odd);
  ASSERT_EQ(run({"report", "run", "--out", "odd.html", "--db", "none.db"}).status, 0);
  const std::string page = core::read_file(path("odd.html"));
  EXPECT_EQ(faults("odd.html"), "");
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;Deep &amp; &quot;IoT&quot;&lt;/b&gt;, &#39;x&#39;"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_FALSE(std::filesystem::exists(path("run/report.html")));
}

TEST_F(Report, KeepsDevicesApart) {
  write_two();
  json other = compress_result("deepiot", "DeepIoT", 0.6, 9.5);
  other["machine"] = "phone";
  write("runs/c/result.json", other);
  const Result r = run({"report", "runs", "--json", "-", "--db", "none.db"});
  ASSERT_EQ(r.status, 0) << r.err;
  const std::string page = core::read_file(path("runs/report.html"));
  EXPECT_THAT(page, HasSubstr("These runs are of 2 devices, data sets or original networks."));
  EXPECT_THAT(page, HasSubstr("<h2>phone; cifar10</h2>"));
  EXPECT_THAT(page, HasSubstr("No network here is within half a point of the original&#39;s accuracy (75.00%"));
  EXPECT_EQ(faults("runs/report.html"), "");
  const json results = json::parse(r.out);
  EXPECT_TRUE(results["machine"].is_null());
  EXPECT_EQ(results["rows"].size(), 5U) << "an original for each";
}

TEST_F(Report, DoesWithoutGnuplotAndWithoutTimeModel) {
  json plain = compress_result("deepiot", "DeepIoT", 0.741, 0.640);
  plain["predicted_ms"] = plain["predicted_ms_original"] = nullptr;
  plain["layers"] = plain["history"] = json::array();
  write("run/result.json", plain);
  const std::string before = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  const Result r = run({"report", "run", "--db", "none.db"});
  ::setenv("PATH", before.c_str(), 1);
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err,
              HasSubstr("gnuplot is not installed, so there is no picture (Debian: apt-get install gnuplot-nox)"));
  const std::string page = core::read_file(path("run/report.html"));
  EXPECT_THAT(page, HasSubstr("gnuplot is not installed"));
  EXPECT_THAT(page, Not(HasSubstr("<svg")));
  EXPECT_THAT(page, HasSubstr("<td>0.640</td>"));
  EXPECT_EQ(faults("run/report.html"), "");
}

}  // namespace
}  // namespace fdi::cli
