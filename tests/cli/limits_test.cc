// What the system refuses: sizes of files, threads, memory, folders without permission. One line that says what it is
// and what to do, and nothing left behind.
#include <gmock/gmock.h>
#include <grp.h>

#include <algorithm>

#include "tests/cli/report_program.h"

#if defined(__SANITIZE_ADDRESS__)
#define FDI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FDI_ASAN 1
#endif
#endif

namespace fdi::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

void limit(__rlimit_resource resource, rlim_t most) {
  const rlimit value{most, most};
  ::setrlimit(resource, &value);
}

// Root may do everything: the program runs as a user who has no other processes.
void leave_root() {
  const uid_t user = 20000 + static_cast<uid_t>(::getpid() % 40000);
  if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0)) ::_exit(126);
}

class Limits : public ReportProgram {
 protected:
  static std::vector<std::string> train(const std::string& out, const std::string& threads = "1") {
    return {"train", "--zoo", "lenet", "--data", kData, "--epochs",  "1",    "--batch",
            "32",    "--lr",  "0.02",  "--out",  out,   "--threads", threads};
  }
  // Whether another user may start the program where it was built.
  bool others_may_run_it() {
    ::chmod(dir_.c_str(), 0755);
    return run({"--version"}, leave_root).status == 0;
  }
  static void expect_one_line(const Result& r) {
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    EXPECT_THAT(r.err, AllOf(HasSubstr("fastdeepiot: "), Not(HasSubstr("unexpected"))));
  }
};

TEST_F(Limits, AFileThatMayNotGrowIsSaidAndNothingIsLeft) {
  const Result r = run(train("run"), [] { limit(RLIMIT_FSIZE, 20 << 10); });
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("run/checkpoint.safetensors: cannot write: File too large; a limit on the size of files "
                               "is reached; lift it (ulimit -f)"));
  EXPECT_TRUE(fs::is_empty(path("run")));
  const Result json = run({"info", "--zoo", "vgg16", "--json", "info.json"}, [] { limit(RLIMIT_FSIZE, 1000); });
  EXPECT_EQ(json.status, 1);
  EXPECT_FALSE(fs::exists(path("info.json")));
}

TEST_F(Limits, FoldersWithoutPermissionAreNamed) {
  if (!others_may_run_it()) GTEST_SKIP() << "another user may not run " << FDI_PROGRAM;
  fs::create_directories(path("secret/runs"));
  fs::permissions(path("secret"), fs::perms::none);
  const std::vector<std::vector<std::string>> commands = {
      train("secret/x"),
      {"train", "--out", "secret/x", "--resume"},
      {"eval", "--model", "secret/m.safetensors", "--data", kData},
      {"info", "--zoo", "lenet", "--json", "secret/info.json"},
      {"data", "info", "--data", "secret/images"},
      {"data", "info", "--data", "secret"},
      {"profile", "--for", "secret/m.json", "--db", "a.db"},
      {"db", "list", "--db", "secret/a.db"},
      {"db", "import", "secret/a.json", "--db", "a.db"},
      {"predict", "--zoo", "lenet", "--db", "secret/a.db"},
      {"fit", "--db", "secret/a.db"},
      {"fit", "--samples", "secret/a.csv"},
      {"sweep", "--table1", "--db", "secret/a.db"},
      {"report", "secret/runs"},
      {"report", "secret"},
      {"shrink", "--model", "secret/m.safetensors", "--keep", "secret/keep.json", "--out", "secret/x"},
      {"expand", "--model", "secret/m.safetensors", "--out", "secret/x"},
      {"compress", "--model", "secret/m.safetensors", "--target-size", "50%", "--out", "secret/x"}};
  for (const std::vector<std::string>& command : commands) {
    SCOPED_TRACE(::testing::PrintToString(command));
    const Result r = run(command, leave_root);
    EXPECT_EQ(r.status, 2);
    expect_one_line(r);
    EXPECT_THAT(r.err, AllOf(HasSubstr("secret"), HasSubstr("Permission denied")));
  }
  fs::permissions(path("secret"), fs::perms::owner_all);
}

TEST_F(Limits, ThreadsThatMayNotBeStarted) {
#ifdef FDI_ASAN
  GTEST_SKIP() << "the sanitizer starts threads of its own";
#endif
  if (!others_may_run_it()) GTEST_SKIP() << "another user may not run " << FDI_PROGRAM;
  fs::create_directories(path("open"));
  ::chmod(path("open").c_str(), 0777);
  const auto none = [] {
    leave_root();
    limit(RLIMIT_NPROC, 1);
  };
  EXPECT_EQ(run({"info", "--zoo", "lenet"}, none).status, 0);
  const Result r = run(train("open/run"), none);
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("no more threads are allowed: lift the limit (ulimit -u)"));
  EXPECT_FALSE(fs::exists(path("open/run/.fastdeepiot-lock")));
}

TEST_F(Limits, LittleMemoryIsNoEndlessLoop) {
#ifdef FDI_ASAN
  GTEST_SKIP() << "the sanitizer needs terabytes of address space";
#endif
  const auto with = [](rlim_t mib) {
    return [mib] {
      limit(RLIMIT_AS, mib << 20);
      limit(RLIMIT_CPU, 20);  // a loop ends by a signal
    };
  };
  const Result r = run({"info", "--zoo", "lenet", "--threads", "1"}, with(400));
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("FLOPs"));
  for (const rlim_t mib : {20, 50, 100, 200, 300}) {
    const Result less = run({"info", "--zoo", "lenet", "--threads", "1"}, with(mib));
    EXPECT_GE(less.status, 0) << mib << " MiB: ended by a signal";
    if (less.status != 0) {
      EXPECT_EQ(std::count(less.err.begin(), less.err.end(), '\n'), 1) << less.err;
    }
  }
  const Result blas = run({"info", "--zoo", "lenet", "--gemm", "openblas"}, with(400));
  if (blas.err.find("has no OpenBLAS") != std::string::npos) return;
  EXPECT_EQ(blas.status, 1);
  EXPECT_THAT(blas.err, HasSubstr("OpenBLAS needs "));
}

TEST_F(Limits, ATemporaryFolderThatIsNotThere) {
  write_two();
  const Result r = run({"report", "runs"}, [] { ::setenv("TMPDIR", "/nonexistent", 1); });
  EXPECT_EQ(r.status, 2);
  expect_one_line(r);
  EXPECT_THAT(r.err, HasSubstr("/nonexistent: cannot make a folder for the pictures there: No such file or directory; "
                               "give --figures DIR, or set TMPDIR"));
}

}  // namespace
}  // namespace fdi::cli
