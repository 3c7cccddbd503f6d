// Standard streams that fail. What is shown never ends or changes the work; a result that could not be shown is told by
// the exit status.
#include <gmock/gmock.h>
#include <pty.h>
#include <sys/ioctl.h>

#include <array>
#include <fstream>

#include "tests/cli/program.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

void full(int stream) { ::dup2(::open("/dev/full", O_WRONLY), stream); }

class Streams : public Program {
 protected:
  static std::vector<std::string> train(const std::string& out, int epochs = 2) {
    return {"train", "--zoo",     "lenet", "--data", kData, "--epochs", std::to_string(epochs), "--batch", "32", "--lr",
            "0.02",  "--threads", "2",     "--out",  out,   "--json",   out + ".json"};
  }
  // The program with a terminal of `columns` as its standard error, hang-ups ignored. All that it shows; the terminal
  // goes as soon as `until` was shown, where that is not empty.
  Result run_in_terminal(const std::vector<std::string>& arguments, unsigned short columns, std::string& shown,
                         const std::string& until = "") const {
    int terminal = -1, slave = -1;
    winsize size{};
    size.ws_col = columns;
    size.ws_row = 24;
    EXPECT_EQ(::openpty(&terminal, &slave, nullptr, nullptr, &size), 0);
    const pid_t child = start(arguments, [&] {
      ::close(terminal);
      ::setsid();
      ::ioctl(slave, TIOCSCTTY, 0);
      ::dup2(slave, STDERR_FILENO);
      ::close(slave);
      ::signal(SIGHUP, SIG_IGN);
    });
    ::close(slave);
    std::array<char, 4096> buffer;
    ssize_t n = 0;
    while ((until.empty() || shown.find(until) == std::string::npos) &&
           (n = ::read(terminal, buffer.data(), buffer.size())) > 0)
      shown.append(buffer.data(), static_cast<size_t>(n));
    ::close(terminal);
    return finish(child);
  }
};

TEST_F(Streams, StandardErrorThatFailsChangesNothing) {
  ASSERT_EQ(run(train("shown")).status, 0);
  const std::string wanted = core::read_file(path("shown/model.safetensors"));
  const Result closed = run(train("closed"), [] { ::close(STDERR_FILENO); });
  const Result disk = run(train("disk"), [] { full(STDERR_FILENO); });
  EXPECT_EQ(closed.status, 0);
  EXPECT_EQ(disk.status, 0);
  EXPECT_EQ(core::read_file(path("closed/model.safetensors")), wanted);
  EXPECT_EQ(core::read_file(path("disk/model.safetensors")), wanted);
  for (const char* model : {"shown", "closed", "disk"}) {
    const Result r = run({"eval", "--model", std::string(model) + "/model.safetensors", "--data", kData},
                         [] { full(STDERR_FILENO); });
    EXPECT_EQ(r.status, 0);
    EXPECT_THAT(r.out, HasSubstr("accuracy"));
  }
  const std::vector<std::string> profile = {"profile", "--op", "fc",   "--samples", "3", "--passes",
                                            "2",       "--db", "a.db", "--threads", "1"};
  const std::vector<std::string> compress = {"compress",
                                             "--model",
                                             "shown/model.safetensors",
                                             "--data",
                                             kData,
                                             "--method",
                                             "knapsack",
                                             "--target-size",
                                             "60%",
                                             "--epochs",
                                             "1",
                                             "--threads",
                                             "1",
                                             "--rounds",
                                             "1",
                                             "--stage-steps",
                                             "2",
                                             "--search-batch",
                                             "16",
                                             "--out",
                                             "small"};
  EXPECT_EQ(run(profile, [] { full(STDERR_FILENO); }).status, 0);
  EXPECT_EQ(run(compress, [] { full(STDERR_FILENO); }).status, 0);
  EXPECT_TRUE(fs::exists(path("small/result.json")));
}

TEST_F(Streams, ATerminalThatGoesChangesNothing) {
  ASSERT_EQ(run(train("stays", 5)).status, 0);
  std::string shown;
  const Result r = run_in_terminal(train("goes", 5), 80, shown, "epoch 1/5");
  EXPECT_EQ(r.status, 0);
  EXPECT_THAT(r.out, HasSubstr("test accuracy"));
  EXPECT_EQ(core::read_file(path("goes/model.safetensors")), core::read_file(path("stays/model.safetensors")));
}

TEST_F(Streams, AProgressLineFitsANarrowTerminal) {
  std::string shown;
  std::vector<std::string> arguments = train("run");
  arguments[4] = "synthetic:classes=4,height=16,width=16,train=2000,test=40";  // longer than a live line stays away
  ASSERT_EQ(run_in_terminal(arguments, 20, shown).status, 0);
  const std::string begin = "\r\033[K";
  size_t at = shown.find(begin), lines = 0;
  ASSERT_NE(at, std::string::npos) << shown;
  while (at != std::string::npos) {
    const size_t text = at + begin.size(), next = shown.find(begin, text);
    const std::string line = shown.substr(text, next - text);
    const bool live = line.find('\n') == std::string::npos;  // one that stays may wrap
    if (live) {
      EXPECT_LT(line.size(), 20U) << line;
      ++lines;
    }
    at = next;
  }
  EXPECT_GT(lines, 0U);
}

TEST_F(Streams, AResultThatIsLostIsAFailure) {
  const std::vector<std::vector<std::string>> commands = {
      {"--help"},
      {"--version"},
      {"info", "--help"},
      {"data", "info", "--help"},
      {"info", "--zoo", "lenet"},
      {"info", "--zoo", "lenet", "--json", "-"},
      {"data", "info", "--data", kData},
      {"bench", "gemm", "--m", "2", "--n", "2", "--k", "2", "--runs", "1", "--seconds", "0", "--threads", "1"}};
  for (const std::vector<std::string>& command : commands) {
    SCOPED_TRACE(command.back());
    const Result disk = run(command, [] { full(STDOUT_FILENO); });
    EXPECT_EQ(disk.status, 1);
    EXPECT_THAT(disk.err, HasSubstr("fastdeepiot: cannot write to standard output: No space left on device"));
    const Result closed = run(command, [] { ::close(STDOUT_FILENO); });
    EXPECT_EQ(closed.status, 1);
    EXPECT_THAT(closed.err, HasSubstr("fastdeepiot: cannot write to standard output: "));
  }
}

TEST_F(Streams, WhatIsNotShownIsStillWrittenToFiles) {
  const Result r = run(train("run"), [] { full(STDOUT_FILENO); });
  EXPECT_EQ(r.status, 1);
  EXPECT_TRUE(fs::exists(path("run/model.safetensors")));
  EXPECT_TRUE(fs::exists(path("run.json")));
  // A reader that leaves: fastdeepiot sweep ... | head
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ::close(ends[0]);
  const Result sweep = run({"sweep", "--op", "fc", "--vary", "out_dim=1..3", "--passes", "2", "--csv", "sweep.csv",
                            "--db", "sweep.db", "--threads", "1"},
                           [&] {
                             ::dup2(ends[1], STDOUT_FILENO);
                             ::close(ends[1]);
                             ::signal(SIGPIPE, SIG_DFL);
                           });
  ::close(ends[1]);
  EXPECT_EQ(sweep.status, 1) << sweep.err;
  EXPECT_TRUE(fs::exists(path("sweep.csv")));
}

}  // namespace
}  // namespace fdi::cli
