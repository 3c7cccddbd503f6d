// What `report` refuses: results that are cut, of something else, or cannot be.
#include "tests/cli/report_program.h"

namespace fdi::cli {
namespace {

using nlohmann::json;

class ReportBadInput : public ReportProgram {};

TEST_F(ReportBadInput, RefusesWhatItCannotRead) {
  refused({"report", "runs"}, "runs: is no folder; give a run of `fastdeepiot compress`");
  refused({"report", std::string(300, 'x')}, "File name too long");
  std::filesystem::create_directories(path("runs/empty"));
  refused({"report", "runs"}, "runs: holds no result.json");
  json wrong = compress_result("deepiot", "DeepIoT", 0.7, 0.5);
  core::write_file_atomically(path("runs/result.json"), wrong.dump().substr(0, 300));
  refused({"report", "runs"}, "runs/result.json: byte 3");
  core::write_file_atomically(path("runs/result.json"), "[1, 2]");
  refused({"report", "runs"}, "runs/result.json: is no JSON object");
  for (const char* key : {"accuracy_original", "measured_ms", "measured_ms_original", "widths", "parameters", "machine",
                          "data", "seed"}) {
    json cut = wrong;
    cut.erase(key);
    write("runs/result.json", cut);
    const bool may_lack = std::string(key) == "accuracy_original";  // not judged
    if (!may_lack) refused({"report", "runs"}, fmt::format("runs/result.json: has no \"{}\"", key));
  }
  const auto spoilt = [&](const char* key, const json& value, const std::string& what) {
    json bad = wrong;
    bad[key] = value;
    write("runs/result.json", bad);
    refused({"report", "runs"}, "runs/result.json: " + what);
  };
  spoilt("measured_ms", 0, "\"measured_ms\" is 0; wanted more than 0");
  spoilt("measured_ms", "fast", "\"measured_ms\" is \"fast\"; wanted a number");
  spoilt("accuracy", 74.1, "\"accuracy\" is 74.1; wanted 0 to 1");
  spoilt("widths", {{"conv1", -3}}, "widths: conv1 has -3 units");
  spoilt("layers", {{{"name", "conv1"}}}, "layers 0: has no \"before_us\"");
  spoilt("history", 4, "\"history\" is no list");
  write("runs/result.json", wrong);
  refused({"report", "runs", "--out", "nowhere/page.html"}, "nowhere/page.html");
  refused({"report", "runs", "--time-model", "none.json"}, "none.json");
}

}  // namespace
}  // namespace fdi::cli
