// What the tests of `report` share: a result as `compress` writes it, made by hand, and a check of the page.
#pragma once
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace fdi::cli {

// As `compress` writes it; widths of LeNet.
inline nlohmann::json compress_result(const std::string& method, const std::string& name, double accuracy, double ms) {
  nlohmann::json original, widths;
  for (const auto& [layer, units] : {std::pair("conv1", 6), {"conv2", 16}, {"fc1", 120}, {"fc2", 84}, {"fc3", 10}}) {
    original[layer] = units;
    widths[layer] = std::string(layer) == "fc3" ? units : units / 2;
  }
  const auto stage = [&](int iteration, double threshold, double left) {
    return nlohmann::json{{"iteration", iteration},
                          {"threshold", threshold},
                          {"widths", {6, 16, 120, 84}},
                          {"size", left},
                          {"cost", 0.0},
                          {"loss", 1.5},
                          {"accuracy", 0.7 * left},
                          {"predicted_ms", ms}};
  };
  return {{"method", method},
          {"name", name},
          {"accuracy", accuracy},
          {"accuracy_original", 0.75},
          {"predicted_ms", 1.25 * ms},
          {"predicted_ms_original", 0.9},
          {"measured_ms", ms},
          {"measured_ms_original", 1.0},
          {"parameters", 15432},
          {"parameters_original", 61706},
          {"flops", 220000},
          {"flops_original", 850000},
          {"peak_memory_mib", 0.125},
          {"peak_memory_mib_original", 0.5},
          {"widths", widths},
          {"widths_original", original},
          {"seed", 7},
          {"target", "25% of the parameters"},
          {"command", "fastdeepiot compress --model m.safetensors --out runs/" + method},
          {"machine", "board | cpu | native"},
          {"engine", "native"},
          {"threads", 1},
          {"isa", "avx2"},
          {"data", {{"name", "cifar10"}}},
          {"seconds", 95},
          {"layers",
           {{{"name", "conv1"}, {"before_us", 400.0}, {"after_us", 210.0}},
            {{"name", "conv2"}, {"before_us", 500.0}, {"after_us", 300.0}},
            {{"name", "pool"}, {"before_us", 2.0}, {"after_us", 1.0}}}},
          {"history", {stage(100, 0.7, 0.9), stage(200, 0.8, 0.6)}},
          {"candidates", nlohmann::json::array()}};
}

class ReportProgram : public Program {
 protected:
  void write(const std::string& name, const nlohmann::json& value) const {
    std::filesystem::create_directories((dir_ / name).parent_path());
    core::write_file_atomically(path(name), value.dump(2));
  }
  void write_two() const {
    write("runs/a/result.json", compress_result("deepiot", "DeepIoT", 0.741, 0.640));
    write("runs/b/result.json", compress_result("fastdeepiot", "FastDeepIoT", 0.749, 0.321));
  }
  // Exit status 2 and a line that says `what`; no page is left.
  void refused(const std::vector<std::string>& arguments, const std::string& what) const {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2) << r.out;
    EXPECT_THAT(r.err, testing::HasSubstr(what));
    EXPECT_FALSE(std::filesystem::exists(path("runs/report.html")));
  }
  // Empty, or what is wrong with the page.
  std::string faults(const std::string& page) const {
    const std::string command =
        fmt::format("/usr/bin/python3 {}/tests/cli/check_page.py {} > {}", FDI_SOURCE_DIR, path(page), path("faults"));
    return std::system(command.c_str()) == 0 ? "" : "faults: " + core::read_file(path("faults"));
  }
};

}  // namespace fdi::cli
