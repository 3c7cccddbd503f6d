// Shape, Rng, Arena, AtomicFile: the small things that everything else trusts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <pty.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "core/arena.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/file.h"
#include "core/progress.h"
#include "core/rng.h"
#include "core/shape.h"
#include "core/threads.h"
#include "tests/temp_folder.h"

namespace fdi::core {
namespace {

namespace fs = std::filesystem;

class CoreFile : public ::testing::Test, public TempFolder {
 protected:
};

TEST(Shape, CountsPrintsAndCompares) {
  const Shape s{32, 32, 3};
  EXPECT_EQ(s.size(), 3072);
  EXPECT_EQ(to_string(s), "(32, 32, 3)");
  EXPECT_EQ(to_string(with_batch(8, s)), "(8, 32, 32, 3)");
  EXPECT_EQ(Shape{}.size(), 1);
  EXPECT_NE(s, (Shape{32, 32}));
  EXPECT_THROW(with_batch(1, Shape{1, 2, 3, 4, 5}), Error);
}

TEST(Rng, SameNameSameNumbersOtherNameOtherNumbers) {
  Rng a(1, Stream::kShuffle, 7), b(1, Stream::kShuffle, 7), c(1, Stream::kShuffle, 8), d(1, Stream::kAugment, 7);
  const uint64_t first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, c.next());
  EXPECT_NE(first, d.next());
}

TEST(Rng, MomentsAreThoseOfTheDistributions) {
  Rng rng(3, Stream::kTest);
  const int n = 200000;
  double u = 0, g = 0, g2 = 0;
  for (int i = 0; i < n; ++i) {
    u += rng.uniform();
    const double x = rng.normal();
    g += x;
    g2 += x * x;
  }
  EXPECT_NEAR(u / n, 0.5, 5 * 0.289 / std::sqrt(n));  // five standard errors
  EXPECT_NEAR(g / n, 0.0, 5.0 / std::sqrt(n));
  EXPECT_NEAR(g2 / n, 1.0, 5 * 1.414 / std::sqrt(n));
}

TEST(Rng, ShuffleIsAPermutation) {
  std::vector<int> v(100);
  for (int i = 0; i < 100; ++i) v[i] = i;
  Rng(5, Stream::kShuffle).shuffle(v.begin(), v.end());
  EXPECT_EQ(std::set<int>(v.begin(), v.end()).size(), 100u);
  EXPECT_FALSE(std::is_sorted(v.begin(), v.end()));
}

TEST(Arena, CutsAlignedZeroedPiecesAndRewinds) {
  Arena arena(Arena::padded_bytes(3) + Arena::padded_bytes(20));
  float* a = arena.floats(3);
  const size_t mark = arena.mark();
  float* b = arena.floats(20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % Arena::kAlignment, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % Arena::kAlignment, 0u);
  EXPECT_EQ(b[19], 0.0F);
  arena.rewind(mark);
  EXPECT_EQ(arena.floats(20), b);
}

TEST(Threads, RefusesNonsense) {
  EXPECT_GE(threads(), 1);
  EXPECT_THROW(set_threads(0), Error);
  EXPECT_THROW(set_threads(-3), Error);
  const int before = threads();
  set_threads(2);
  EXPECT_EQ(threads(), 2);
  set_threads(before);
}

// Processors that the calling thread may run on.
cpu_set_t allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  return set;
}

TEST(Threads, ArePinnedToProcessorsOfTheirOwnForAWhile) {
  const cpu_set_t before = allowed();
  set_threads(1);
  for (int i = 0; i < 2; ++i) {  // the same processor each time
    const PinnedThreads pinned;
    const cpu_set_t one = allowed();
    EXPECT_EQ(CPU_COUNT(&one), 1);
  }
  cpu_set_t after = allowed();
  EXPECT_TRUE(CPU_EQUAL(&after, &before));

  if (hardware_threads() < 2) GTEST_SKIP() << "one processor only";
  set_threads(2);
  {
    const PinnedThreads pinned;
    cpu_set_t worker{};
#pragma omp parallel num_threads(2)
    if (omp_get_thread_num() == 1) worker = allowed();
    const cpu_set_t caller = allowed();
    EXPECT_EQ(CPU_COUNT(&worker), 1);
    EXPECT_EQ(CPU_COUNT(&caller), 2);  // threads that are made meanwhile must not be squeezed together
  }
  set_threads(1);
  after = allowed();
  EXPECT_TRUE(CPU_EQUAL(&after, &before));
}

TEST(Threads, MoreThanThereAreProcessorsAreLeftAlone) {
  const cpu_set_t before = allowed();
  set_threads(hardware_threads() + 1);
  {
    const PinnedThreads pinned;
    const cpu_set_t during = allowed();
    EXPECT_TRUE(CPU_EQUAL(&during, &before));
  }
  set_threads(1);
}

TEST(Cpu, TellsPlausibleCaches) {
  EXPECT_GE(cpu_info().l1_bytes, size_t{4} << 10);
  EXPECT_GE(cpu_info().l2_bytes, cpu_info().l1_bytes);
  EXPECT_GT(peak_memory_bytes(), size_t{1} << 20);
}

TEST(Progress, DurationsReadWell) {
  EXPECT_EQ(format_duration(48.2), "48 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(3900), "1 h 05 min");
}

// Text of several bytes a character is cut between characters; what would move the cursor is shown as an escape.
TEST(Progress, LiveLinesFitTheTerminal) {
  int terminal = -1, slave = -1;
  winsize size{};
  size.ws_col = 20;
  size.ws_row = 24;
  ASSERT_EQ(::openpty(&terminal, &slave, nullptr, nullptr, &size), 0);
  std::fflush(stderr);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(slave, STDERR_FILENO);
  {
    Progress progress;
    progress.update("aä\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac");
    progress.finish("a\033[2Jb");
  }
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  ::close(slave);
  std::string shown;
  char piece[256];
  for (ssize_t got = 0;
       (got = ::read(terminal, piece, sizeof piece)) > 0;)  // to the end, which closing the slave makes
    shown.append(piece, static_cast<size_t>(got));
  ::close(terminal);
  EXPECT_EQ(shown, "\r\033[Kaä\u20ac\u20ac\u20ac\u20ac\u20ac\r\033[Ka\\x1b[2Jb\r\n");
}

TEST_F(CoreFile, UncommittedWriteLeavesTheOldFileAndNoRest) {
  const std::string path = dir_ / "a.json";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write(std::string_view("half"));
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
  write_file_atomically(path, "new");
  EXPECT_EQ(read_file(path), "new");
}

TEST_F(CoreFile, MissingFolderIsAnErrorThatSaysWhatToDo) {
  try {
    write_file_atomically((dir_ / "no" / "such" / "folder").string(), "x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("create its folder first"));
  }
}

// Bad input is what another name mends; anything else is the system's.
TEST_F(CoreFile, AWriteThatIsRefusedLeavesNothing) {
  const auto code = [&](const std::string& path, size_t bytes) {
    try {
      write_file_atomically(path, std::string(bytes, 'x'));
    } catch (const Error& e) {
      return e.code();
    }
    ADD_FAILURE() << path << " was written";
    return ErrorCode::kUnmet;
  };
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_EQ(code(dir_ / "a", 2000), ErrorCode::kSystem);
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(code("/dev/full", 1), ErrorCode::kSystem);
  EXPECT_EQ(code(dir_ / "no" / "a", 1), ErrorCode::kBadInput);
  EXPECT_EQ(code(dir_, 1), ErrorCode::kBadInput);
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(CoreFile, WritesThroughLinksAndLeavesDevicesAlone) {
  write_file_atomically((dir_ / "target").string(), "old");
  fs::create_symlink(dir_ / "target", dir_ / "link");
  write_file_atomically((dir_ / "link").string(), "new");
  EXPECT_TRUE(fs::is_symlink(dir_ / "link"));
  EXPECT_EQ(read_file((dir_ / "target").string()), "new");
  fs::create_symlink("/dev/null", dir_ / "nowhere");
  write_file_atomically((dir_ / "nowhere").string(), "lost");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(fs::is_symlink(dir_ / "nowhere"));
}

TEST_F(CoreFile, TakesOverWhatAKilledWriterLeftButNotALivingOnes) {
  const std::string path = dir_ / "a.json", temporary = dir_ / ".a.json.fastdeepiot-tmp";
  { std::ofstream(temporary) << "what a killed writer left, longer than the new text"; }
  write_file_atomically(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_FALSE(fs::exists(temporary));
  AtomicFile living(path);
  EXPECT_THROW(AtomicFile second(path), Error);
  living.write(std::string_view("first"));
  living.commit();
  EXPECT_EQ(read_file(path), "first");
}

TEST_F(CoreFile, LeavesTheUsersOwnTemporaryFilesAlone) {
  { std::ofstream(dir_ / "a.json.tmp") << "precious"; }
  write_file_atomically(dir_ / "a.json", "new");
  EXPECT_EQ(read_file(dir_ / "a.json.tmp"), "precious");
}

TEST_F(CoreFile, ReadsPipesToTheirEnd) {
  const std::string pipe = dir_ / "pipe", text(300000, 'x');
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::jthread writer([&] { std::ofstream(pipe) << text; });
  EXPECT_EQ(read_file(pipe), text);
  writer.join();
  EXPECT_FALSE(read_file("/proc/self/status").empty());
  std::signal(SIGPIPE, SIG_IGN);  // the reader below goes before the end
  writer = std::jthread([&] { std::ofstream(pipe) << text; });
  EXPECT_THROW(read_file(pipe, 1000), Error);
  writer.join();
}

TEST_F(CoreFile, ALockKeepsOthersOutUntilItIsGone) {
  const std::string path = dir_ / "lock";
  {
    const FileLock first(path, "train --out a");
    EXPECT_EQ(first.state(), FileLock::State::kHeld);
    const FileLock second(path, "compress --out a");
    EXPECT_EQ(second.state(), FileLock::State::kBusy);
    EXPECT_THAT(second.holder(), ::testing::MatchesRegex("process [0-9]+ on .*, since 2.*: train --out a"));
  }
  EXPECT_FALSE(fs::exists(path));
  { std::ofstream(path) << "process 1 on elsewhere: what a killed process left"; }
  EXPECT_EQ(FileLock(path, "train").state(), FileLock::State::kHeld);
}

TEST_F(CoreFile, ALockLeavesTheFileThatTookItsName) {
  fs::create_directories(dir_ / "run");
  auto first = std::make_unique<FileLock>(dir_ / "run" / "lock", "first");
  fs::rename(dir_ / "run", dir_ / "renamed");
  fs::create_directories(dir_ / "run");
  const FileLock second(dir_ / "run" / "lock", "second");
  first.reset();
  EXPECT_TRUE(fs::exists(dir_ / "run" / "lock"));
  EXPECT_EQ(FileLock(dir_ / "run" / "lock", "third").state(), FileLock::State::kBusy);
}

TEST_F(CoreFile, ReadRefusesFoldersMissingAndTooLarge) {
  EXPECT_THROW(read_file(dir_.string()), Error);
  EXPECT_THROW(read_file((dir_ / "missing").string()), Error);
  write_file_atomically((dir_ / "b").string(), "12345");
  EXPECT_THROW(read_file((dir_ / "b").string(), 4), Error);
}

}  // namespace
}  // namespace fdi::core
