// The program's commands about time with a database of their own, in a small scope.
#pragma once
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace fdi::cli {

class Profiling : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    ::setenv("FASTDEEPIOT_DB", path("f.db").c_str(), 1);
    ::setenv("FASTDEEPIOT_MODELS", path("models").c_str(), 1);
    core::write_file_atomically(path("scope.json"), R"({"ops": ["fc"], "fc_dim": [1, 40]})");
  }
  void TearDown() override {
    ::unsetenv("FASTDEEPIOT_DB");
    ::unsetenv("FASTDEEPIOT_MODELS");
    Program::TearDown();
  }
  using json = nlohmann::json;
  json run_json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--json", "-"});
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 0) << arguments[0] << ": " << r.err;
    return json::parse(r.out, nullptr, false);
  }
  void refused(const std::vector<std::string>& arguments, const std::string& message, int lines = 1) {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2) << arguments[0];
    EXPECT_THAT(r.err, ::testing::HasSubstr(message));
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), lines) << r.err;
  }
  int stored() const {  // readings of the database's first run
    if (!std::filesystem::exists(path("f.db"))) return 0;
    const Result list = run({"db", "list", "--json", "-"});  // may come before the tables are there
    const json devices = list.status == 0 ? json::parse(list.out) : json::array();
    return devices.empty() || devices[0]["runs"].empty() ? 0 : devices[0]["runs"][0]["readings"].get<int>();
  }
  // Kills the command when more than so many are stored; how many were kept.
  int killed_after(int readings, const std::vector<std::string>& arguments) const {
    const pid_t child = start(arguments);
    while (stored() <= readings && ::waitpid(child, nullptr, WNOHANG) == 0) ::usleep(20'000);
    ::kill(child, SIGKILL);
    EXPECT_EQ(finish(child).status, -1) << "it ended before it could be killed";
    return stored();
  }
  const std::vector<std::string> small_ = {"profile", "--scope", "scope.json", "--samples", "60", "--passes", "2"};
};

}  // namespace fdi::cli
