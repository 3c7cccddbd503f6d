// report --measure on real runs: the times shown are those of here and now, whatever the runs have measured.
#include <gmock/gmock.h>

#include "tests/cli/compress_program.h"

namespace fdi::cli {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class ReportMeasure : public CompressProgram {
 protected:
  // A run's figures, as if another machine had measured them.
  void pretend(const std::string& folder) const {
    nlohmann::json r = result(folder);
    for (const char* key : {"measured_ms", "measured_ms_original"}) r[key] = 1e6;
    r["machine"] = "another";
    r["isa"] = "other";
    core::write_file_atomically(path(folder + "/result.json"), r.dump());
  }
};

TEST_F(ReportMeasure, TimesAllNetworksHere) {
  for (const char* method : {"uniform", "knapsack"}) {
    const Result r = run(tiny(std::string("runs/") + method, {"--method", method}));
    ASSERT_EQ(r.status, 0) << r.err;
    pretend(std::string("runs/") + method);
  }
  plant_times();
  const Result r = run({"report", "runs", "--measure", "--time-model", "model.json", "--json", "all.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const nlohmann::json all = nlohmann::json::parse(core::read_file(path("all.json")));
  ASSERT_EQ(all["rows"].size(), 3U) << all.dump(2);  // the original once
  for (const nlohmann::json& row : all["rows"]) {
    EXPECT_GT(row["measured_ms"], 0) << row;
    EXPECT_LT(row["measured_ms"], 1e5) << row;
    EXPECT_GT(row["predicted_ms"], 0) << row;
  }
  EXPECT_NE(all["machine"], "another");
  EXPECT_THAT(r.out, HasSubstr("uniform width (for other)"));
  EXPECT_EQ(result("runs/uniform")["measured_ms"], 1e6) << "the runs' own figures stay";

  plant_times("Phone");
  const Result foreign = run({"report", "runs", "--measure", "--time-model", "model.json"});
  EXPECT_EQ(foreign.status, 2);
  EXPECT_THAT(foreign.err, HasSubstr("beside what its own model predicts; leave out --time-model"));
  EXPECT_THAT(foreign.err, testing::Not(HasSubstr("--force")));

  fs::remove(path("runs/knapsack/search.safetensors"));
  EXPECT_EQ(run({"report", "runs", "--measure"}).status, 0) << "the original of the other run is the same";
  fs::remove(path("runs/uniform/search.safetensors"));
  const Result lost = run({"report", "runs", "--measure"});
  EXPECT_EQ(lost.status, 2);
  EXPECT_THAT(lost.err, HasSubstr("the network that it was made from is not known"));
  const Result idle = run({"report", "runs", "--time-threads", "2"});
  EXPECT_EQ(idle.status, 2);
  EXPECT_THAT(idle.err, HasSubstr("--time-threads: nothing is timed without --measure"));
}

}  // namespace
}  // namespace fdi::cli
