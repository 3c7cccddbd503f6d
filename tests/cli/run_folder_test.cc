// The folder of a run: one command at a time works in it, what it holds is never overwritten, and what is said about it
// is something that the command can do.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/cli/program.h"

namespace fdi::cli {
namespace {

using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class RunFolders : public Program {
 protected:
  static std::vector<std::string> train(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> a = {"train", "--zoo", "lenet", "--data",    kData, "--epochs", "1", "--batch",
                                  "32",    "--lr",  "0.02",  "--threads", "1",   "--out",    out};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  }
  static std::vector<std::string> compress(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> a = {"compress", "--model", "other/model.safetensors", "--data", kData,
                                  "--out",    out,       "--target-size",           "60%",    "--threads",
                                  "1"};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  }
  // Status 2 and one line.
  std::string refusal(const std::vector<std::string>& arguments) const {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    return r.err;
  }
  // A run that lasts until it is killed; returns when it has written its first checkpoint.
  pid_t start_long_run(const std::string& out) const {
    const pid_t child = start(train(out, {"--epochs", "100000"}), [] {
      const int nowhere = ::open("/dev/null", O_WRONLY);
      ::dup2(nowhere, STDOUT_FILENO);
      ::dup2(nowhere, STDERR_FILENO);
    });
    while (!fs::exists(path(out + "/checkpoint.safetensors")) && ::waitpid(child, nullptr, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return child;
  }
  void put(const std::string& name) const {
    fs::create_directories((dir_ / name).parent_path());
    core::write_file_atomically(path(name), "x");
  }
};

TEST_F(RunFolders, WhileACommandWorksInOneAllOthersAreKeptOut) {
  ASSERT_EQ(run(train("other")).status, 0);
  const pid_t child = start_long_run("run");
  const std::string holder =
      "--out run: in use by process " + std::to_string(child) + " on .*: fastdeepiot train; wait";
  EXPECT_THAT(refusal(train("run")), ContainsRegex(holder));
  EXPECT_THAT(refusal({"train", "--out", "run", "--resume"}), ContainsRegex(holder));
  EXPECT_THAT(refusal(compress("run")), ContainsRegex(holder));
  EXPECT_THAT(refusal({"expand", "--model", "other/model.safetensors", "--out", "run"}), ContainsRegex(holder));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(path("run/.fastdeepiot-lock"))) << "what a killed process leaves must not block the next";
  EXPECT_THAT(refusal({"train", "--out", "run", "--resume", "--lr", "0.5"}), HasSubstr("cannot resume: lr is 0.5"));
  EXPECT_FALSE(fs::exists(path("run/.fastdeepiot-lock")));
}

TEST_F(RunFolders, OfSeveralThatBeginTogetherOneRuns) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i)
    children.push_back(start(train("run", {"--seed", std::to_string(i)}), [this, i] {
      ::dup2(::open(path("err" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0644), STDERR_FILENO);
    }));
  int done = 0;
  for (int i = 0; i < 4; ++i) {
    int status = 0;
    ::waitpid(children[i], &status, 0);
    const std::string err = core::read_file(path("err" + std::to_string(i)));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
      ++done;
    } else {
      EXPECT_EQ(WEXITSTATUS(status), 2) << err;
      EXPECT_THAT(err, AnyOf(HasSubstr("in use by "), HasSubstr("holds a run already")));
    }
  }
  EXPECT_EQ(done, 1);
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(path("run"))) left.push_back(entry.path().filename().string());
  EXPECT_THAT(left, ::testing::UnorderedElementsAre("checkpoint.safetensors", "model.safetensors"));
}

TEST_F(RunFolders, WithoutLocksARunGoesOnWithAWarning) {
  if (std::string(FDI_NO_LOCKS).empty()) GTEST_SKIP() << "a sanitizer's run time must be the first library";
  const auto no_locks = [] { ::setenv("LD_PRELOAD", FDI_NO_LOCKS, 1); };
  const Result r = run(train("run", {"--json", "train.json"}), no_locks);
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("warning: --out run: this file system knows no locks"));
  EXPECT_TRUE(fs::exists(path("run/model.safetensors")));
  EXPECT_TRUE(fs::exists(path("train.json")));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("run")), fs::directory_iterator()), 2) << "nothing but the run";
}

TEST_F(RunFolders, OfferOnlyWhatCanBeDone) {
  ASSERT_EQ(run(train("other")).status, 0);
  put("finished/model.safetensors");  // its checkpoint was deleted to save room
  EXPECT_THAT(refusal(train("finished")), AllOf(HasSubstr("--out finished: holds a run already; choose another folder"),
                                                Not(HasSubstr("--resume"))));
  EXPECT_THAT(refusal({"train", "--out", "finished", "--resume"}),
              AllOf(HasSubstr("finished/checkpoint.safetensors is not there, and without it the run cannot go on"),
                    HasSubstr("start a new run in another folder"), Not(HasSubstr("leave out"))));
  put("stopped/checkpoint.safetensors");
  EXPECT_THAT(refusal(train("stopped")), HasSubstr("or add --resume to go on"));
  EXPECT_THAT(refusal({"train", "--out", "new", "--resume"}), HasSubstr("leave out --resume to start a new run"));
  for (const char* folder : {"finished", "stopped"})
    EXPECT_THAT(refusal({"expand", "--model", "other/model.safetensors", "--out", folder}),
                AllOf(HasSubstr("holds a run of `train` already; choose another folder"), Not(HasSubstr("--resume"))));
}

// Their checkpoints have one name.
TEST_F(RunFolders, ACommandNeverGoesOnWithAnothersRun) {
  ASSERT_EQ(run(train("other")).status, 0);
  put("trained/checkpoint.safetensors");
  put("searched/search.safetensors");
  put("searched/checkpoint.safetensors");
  EXPECT_THAT(refusal(compress("trained")), HasSubstr("--out trained: holds a run of `train` already"));
  EXPECT_THAT(refusal(compress("trained", {"--resume"})), HasSubstr("holds a run of `train`, not of `compress`"));
  EXPECT_THAT(refusal(train("searched")), HasSubstr("--out searched: holds a run of `compress` already"));
  EXPECT_THAT(refusal({"train", "--out", "searched", "--resume"}),
              HasSubstr("searched holds a run of `compress`, not of `train`"));
  EXPECT_EQ(core::read_file(path("trained/checkpoint.safetensors")), "x");
}

}  // namespace
}  // namespace fdi::cli
