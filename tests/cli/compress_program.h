// What the tests of `compress` share: a small trained network, a time model of this machine that is made up, arguments
// that make a run short.
#pragma once
#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/threads.h"
#include "device/engine.h"
#include "nn/model_file.h"
#include "tests/cli/program.h"
#include "tests/compress/planted_model.h"

namespace fdi::cli {

class CompressProgram : public Program {
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
  // Writes model.json: made-up times of this machine, units in fours, `ns` for a multiply-add: 0.1 is about right, 2 so
  // long that this machine always takes less. Returns what lenet takes.
  double plant_times(const std::string& cpu = "", double ns = 2) const {
    core::set_threads(1);
    device::Identity device = device::this_device("native", device::make_engine("native")->version());
    core::set_threads(core::hardware_threads());
    if (!cpu.empty()) device.cpu = cpu;
    const nn::NetworkSpec spec = nn::load_model(path("run/model.safetensors")).spec;
    const auto in_fours = [ns](const profile::Structure& s) {
      const double out = 4 * std::ceil(s[profile::Field::kOutChannel] / 4);
      return ns + 1e-3 * ns * s[profile::Field::kPixels] * s[profile::Field::kPatch] * out;
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
};

}  // namespace fdi::cli
