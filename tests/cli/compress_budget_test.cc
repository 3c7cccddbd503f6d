// Budgets of `compress` through the program: kept by whom, missed, kept already, on another device's time model.
#include <gmock/gmock.h>

#include "tests/cli/compress_program.h"
#include "tests/compress/stepped_model.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class CompressBudget : public CompressProgram {
 protected:
  // Like fast(), by this machine's clock where it is this machine's model.
  static std::vector<std::string> verified(const std::string& out, double ms, std::vector<std::string> more = {}) {
    std::vector<std::string> a = fast(out, ms, std::move(more));
    std::erase(a, "--verify");
    std::erase(a, "off");
    return a;
  }
};

// Twenty times as slow as this machine, whose clock would let everything pass.
TEST_F(CompressBudget, OfAnotherDeviceIsKeptByItsModel) {
  const double ms = 0.5 * plant_times("Phone");
  for (const std::string method : {"deepiot", "deepiot+flops", "fastdeepiot", "uniform", "knapsack"}) {
    const std::string out = "runs/" + method;
    const Result r = run(verified(out, ms, {"--method", method, "--force"}));
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_THAT(r.err, HasSubstr("model of ANOTHER DEVICE"));
    EXPECT_THAT(r.out, HasSubstr("Phone"));
    EXPECT_THAT(r.out, Not(HasSubstr("measured")));
    const nlohmann::json got = result(out);
    EXPECT_LE(got["predicted_ms"].get<double>(), ms) << method;
    EXPECT_GE(got["predicted_ms"].get<double>(), 0.5 * ms) << method;
    EXPECT_TRUE(got["measured_ms"].is_null()) << method;
    EXPECT_TRUE(got["measured_ms_original"].is_null()) << method;
    EXPECT_TRUE(got["candidates"].empty()) << method;
    EXPECT_THAT(got["machine"].get<std::string>(), HasSubstr("Phone"));
    EXPECT_EQ(got["forced"], true);
    EXPECT_EQ(got["missed"], "");
    EXPECT_EQ(got["recipe"]["choose_by"], "model");
    EXPECT_NE(got["widths"], got["widths_original"]) << method;
  }
  // Widened for it, and reported as its own, with what is predicted.
  ASSERT_EQ(run({"expand", "--model", "runs/deepiot/model.safetensors", "--time-model", "model.json", "--force",
                 "--verify", "off", "--out", "runs/wide"})
                .status,
            0);
  const Result report = run({"report", "runs", "--json", "all.json"});
  ASSERT_EQ(report.status, 0) << report.err;
  const nlohmann::json all = nlohmann::json::parse(core::read_file(path("all.json")));
  ASSERT_EQ(all["rows"].size(), 7U) << "one original, five methods, one of them widened";
  EXPECT_THAT(all["machine"].get<std::string>(), HasSubstr("Phone"));
  int widened = 0;
  for (const nlohmann::json& row : all["rows"]) {
    EXPECT_TRUE(row["measured_ms"].is_null()) << row;
    widened += row["name"] == "DeepIoT+localMin (predicted)" ? 1 : 0;
  }
  EXPECT_EQ(widened, 1);
}

// The model promises a thousandth of the time: whatever is done, the clock says more.
TEST_F(CompressBudget, MissedIsNoSuccess) {
  const double ms = 0.5 * plant_times("", 1e-4);
  const auto missed = [&](double budget, const std::string& out, const std::vector<std::string>& arguments,
                          const char* what_to_do) {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 1) << r.err;
    EXPECT_THAT(r.err, HasSubstr("the network misses its budget: "));
    EXPECT_THAT(
        r.err, HasSubstr(fmt::format("ms of time (measured), the budget {:.4g} ms of time; {} holds it", budget, out)));
    EXPECT_THAT(r.err, HasSubstr(what_to_do));
    EXPECT_NE(result(out)["missed"], "");
    EXPECT_TRUE(fs::exists(path(out + "/model.safetensors")));
  };
  missed(ms, "off", fast("off", ms, {"--method", "knapsack"}), "choose by what is measured (--verify on)");
  missed(ms, "on", verified("on", ms, {"--method", "uniform"}), "--resume times it again when the machine is quiet");
  // By the model the whole network keeps this budget; by the clock it does not, so that it is compressed all the same.
  missed(3 * ms, "whole", verified("whole", 3 * ms), "--resume times it again when the machine is quiet");
  EXPECT_EQ(result("whole")["unchanged"], false);
  EXPECT_FALSE(result("whole")["candidates"].empty());
  missed(3 * ms, "copy", fast("copy", 3 * ms), "needs no compression: profile and fit anew");
  EXPECT_EQ(result("copy")["unchanged"], true);

  std::vector<std::string> by_clock = fast("off", ms, {"--method", "knapsack", "--resume"});
  *std::next(std::ranges::find(by_clock, "--verify")) = "on";
  const Result other = run(by_clock);
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("off/choice.json: cannot resume: the structure was chosen by the time model, now it "
                                   "would be by what is measured (--verify)"));
  EXPECT_THAT(other.err, HasSubstr("in another folder"));
}

// A tenth of what the clock says, a multiple of what the model says: compression is not waived.
TEST_F(CompressBudget, KeptAlreadyByTheModelAloneIsCompressed) {
  plant_times("", 1e-4);
  ASSERT_EQ(run(tiny("first", {"--method", "uniform"})).status, 0) << core::read_file(path("stderr"));
  const double ms = 0.1 * result("first")["measured_ms_original"].get<double>();
  const Result r = run(verified("between", ms, {"--method", "uniform"}));
  const nlohmann::json got = result("between");
  ASSERT_EQ(r.status, got["missed"] == "" ? 0 : 1) << r.err;  // the clock may say so
  EXPECT_GT(ms, got["predicted_ms_original"].get<double>());
  EXPECT_EQ(got["unchanged"], false);
  EXPECT_FALSE(got["candidates"].empty());
  EXPECT_TRUE(
      std::ranges::any_of(got["candidates"], [&](const auto& c) { return c["widths"] != got["widths_original"]; }));
}

TEST_F(CompressBudget, KeptAlreadyByTheClockToo) {
  const double ms = 2 * plant_times();
  const Result r = run(verified("same", ms));
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("nothing to compress"));
  EXPECT_EQ(result("same")["unchanged"], true);
  EXPECT_EQ(result("same")["recipe"]["choose_by"], "clock");
  EXPECT_EQ(run(verified("same", ms, {"--resume"})).status, 0);
  const Result other = run(fast("same", ms, {"--resume"}));  // --verify off
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("the structure was chosen by what is measured, now it would be by the time model"));
  // A choice of an earlier version: the list alone.
  const auto choice = nlohmann::json::parse(core::read_file(path("same/choice.json")));
  core::write_file_atomically(path("same/choice.json"), choice["candidates"].dump());
  EXPECT_EQ(run(fast("same", ms, {"--resume"})).status, 0) << core::read_file(path("stderr"));
  EXPECT_EQ(result("same")["unchanged"], true);
}

// A script that asks for "at most 12 ms" gets a model in any case.
TEST_F(CompressBudget, KeptAlreadyLeavesACopy) {
  const double whole = plant_times();
  const nn::Model before = nn::load_model(path("run/model.safetensors"));
  for (const char* flag : {"--force", "--resume"}) {  // the first is of no effect here
    const Result r = run(fast("same", 2 * whole, {flag}));
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("nothing to compress: the network meets what is asked for already: it has "));
    const nn::Model after = nn::load_model(path("same/model.safetensors"));
    EXPECT_EQ(after.spec, before.spec);
    EXPECT_EQ(after.metadata, before.metadata);
    EXPECT_TRUE(std::ranges::equal(after.parameters.all(), before.parameters.all()));
    const nlohmann::json got = result("same");
    EXPECT_EQ(got["unchanged"], true);
    EXPECT_EQ(got["widths"], got["widths_original"]);
    EXPECT_EQ(got["accuracy"], got["accuracy_original"]);
    EXPECT_EQ(got["images_seen"], (nlohmann::json{{"search", 0}, {"rounds", 0}, {"fine_tune", 0}}));
  }
  EXPECT_EQ(run({"report", "same", "--db", "none.db"}).status, 0) << core::read_file(path("stderr"));
}

// Times with cliffs: multiples of four cost 1 ms, others 20, and no factor makes multiples of all widths.
TEST_F(CompressBudget, ReachableButNotByUniformWidths) {
  core::set_threads(1);
  const device::Identity device = device::this_device("native", device::make_engine("native")->version());
  core::set_threads(core::hardware_threads());
  const std::vector<profile::Node> cliffs = {
      compress::split(profile::Field::kOutChannel, profile::Condition::Kind::kMultiple, 4, 1, 2),
      compress::leaf(compress::linear_law(1000, 0, 0)), compress::leaf(compress::linear_law(20000, 0, 0))};
  const auto model = compress::planted_model({{nn::Op::kConv2d, cliffs}, {nn::Op::kFc, cliffs}}, device);
  core::write_file_atomically(path("model.json"), model.to_json().dump());
  const Result uniform = run(verified("uniform", 15, {"--method", "uniform"}));
  EXPECT_EQ(uniform.status, 2);
  EXPECT_THAT(uniform.err, HasSubstr("--method uniform: no network of uniform width keeps 15 ms, though others do"));
  EXPECT_FALSE(fs::exists(path("uniform")));
  // The rounds begin with a uniform network that is timed.
  const Result r = run(verified("rounds", 15, {"--method", "knapsack", "--rounds", "2"}));
  ASSERT_EQ(r.status, 0) << r.err;
  const nlohmann::json rounds = result("rounds");
  ASSERT_FALSE(rounds["candidates"].empty());
  for (const nlohmann::json& candidate : rounds["candidates"]) EXPECT_GT(candidate["measured_ms"].get<double>(), 0);
  EXPECT_LE(rounds["measured_ms"].get<double>(), 15) << "the clock knows of no cliffs";
  EXPECT_EQ(result("rounds")["recipe"]["choose_by"], "clock");
  const Result by_model = run(fast("by_model", 15, {"--method", "knapsack", "--rounds", "2"}));
  ASSERT_EQ(by_model.status, 0) << by_model.err;
  EXPECT_LE(result("by_model")["predicted_ms"].get<double>(), 15);
}

}  // namespace
}  // namespace fdi::cli
