// The store when things go wrong: a kill, a full disk, a locked, damaged or foreign file; each is said by name.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "core/file.h"
#include "tests/profile/store_file.h"

namespace fdi::profile {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(StoreFile, AKilledWriterLosesNothingCommitted) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Store store(path_);
    const Store::Run run = store.open_run(test_device(), kRequest);
    store.add_jobs(run.id, three());
    for (int pass = 0;; ++pass) {
      store.keep(run.id, reading(0, pass));
      const char byte = 1;
      if (::write(pipe[1], &byte, 1) != 1) ::_exit(1);
    }
  }
  ::close(pipe[1]);
  char bytes[200];
  size_t told = 0;
  while (told < sizeof bytes) {
    const ssize_t n = ::read(pipe[0], bytes, sizeof bytes - told);
    ASSERT_GT(n, 0);
    told += static_cast<size_t>(n);
  }
  ::kill(child, SIGKILL);
  for (ssize_t n = 1; n > 0;)  // what it told before it died
    if (n = ::read(pipe[0], bytes, sizeof bytes); n > 0) told += static_cast<size_t>(n);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  Store store(path_);
  EXPECT_GE(store.readings(store.open_run(test_device(), kRequest).id).size(), told);
}

TEST_F(StoreFile, ALockedFileIsSaid) {
  { Store store(path_); }
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  Store store(path_, Store::Access::kMake, 0);
  EXPECT_THAT(message_of([&] { store.open_run(test_device(), kRequest); }),
              AllOf(HasSubstr(path_), HasSubstr("locked by another process")));
  sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  EXPECT_EQ(message_of([&] { store.open_run(test_device(), kRequest); }), "");
}

TEST_F(StoreFile, DamagedAndForeignFilesAreLeftAlone) {
  const std::string file = (dir_ / "f.db").string();
  core::write_file_atomically(file, std::string(9000, 'x'));
  EXPECT_THAT(message_of([&] { Store store(file); }),
              AllOf(HasSubstr(file), HasSubstr("damaged"), HasSubstr("rename")));
  EXPECT_EQ(core::read_file(file), std::string(9000, 'x'));

  {
    Store store(path_);
    const Store::Run run = store.open_run(test_device(), kRequest);
    store.add_jobs(run.id, three());
    for (int pass = 0; pass < 300; ++pass) store.keep(run.id, reading(0, pass));
  }
  std::string bytes = core::read_file(path_);
  ASSERT_GT(bytes.size(), 16384U);
  std::fill(bytes.begin() + 5000, bytes.end() - 2000, '\xAA');
  core::write_file_atomically(path_, bytes);
  EXPECT_THAT(message_of([&] { Store(path_).check(); }), HasSubstr("damaged"));
  EXPECT_THAT(message_of([&] { Store(path_).readings(1); }), HasSubstr("damaged"));
  EXPECT_THAT(message_of([&] { Store(path_).import_json({{"fastdeepiot_db", 1}}, "f.json"); }), HasSubstr("damaged"));
  EXPECT_EQ(core::read_file(path_), bytes);

  const std::string foreign = (dir_ / "other.db").string();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(foreign.c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "CREATE TABLE songs (name TEXT)", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_THAT(message_of([&] { Store store(foreign); }), HasSubstr("another program"));

  const std::string later = (dir_ / "later.db").string();
  { Store store(later); }
  ASSERT_EQ(sqlite3_open(later.c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_THAT(message_of([&] { Store store(later); }), HasSubstr("later fastdeepiot (version 99"));

  EXPECT_THAT(message_of([&] { Store store(dir_.string()); }), HasSubstr("is a folder"));
  EXPECT_THAT(message_of([&] { Store store("/proc/fdi/f.db"); }), HasSubstr("cannot make the folder"));
}

TEST_F(StoreFile, ATextThatIsNoJsonIsDamage) {
  { Store(path_).add_model(test_device(), {{"v", 1}}); }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "UPDATE models SET model = '{'", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  EXPECT_THAT(message_of([&] { Store(path_).models(0); }), AllOf(HasSubstr(path_), HasSubstr("damaged")));
}

// A full disk, played by a limit on the size of files: the reading is refused, those before it are there.
TEST_F(StoreFile, AFullDiskLosesNothingMeasured) {
  int64_t run = 0;
  {
    Store store(path_);
    run = store.open_run(test_device(), kRequest).id;
    store.add_jobs(run, three());
  }
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, 200'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::string message = "";
    int kept = 0;
    try {
      Store store(path_);
      for (; kept < 100'000; ++kept) store.keep(run, reading(0, kept));
    } catch (const core::Error& e) {
      message = e.what();
    }
    message = std::to_string(kept) + " " + message;
    ::_exit(::write(pipe[1], message.data(), message.size()) > 0 ? 0 : 1);
  }
  ::close(pipe[1]);
  char text[1000];
  const ssize_t n = ::read(pipe[0], text, sizeof text);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  ASSERT_GT(n, 0);
  const std::string message(text, static_cast<size_t>(n));
  EXPECT_THAT(message, HasSubstr(path_ + ": the disk or a quota is full; what was measured is kept: make room"));
  const auto kept = static_cast<size_t>(std::stoi(message));
  EXPECT_GT(kept, 10U);
  EXPECT_LT(kept, 100'000U);
  EXPECT_EQ(Store(path_).readings(run).size(), kept);
}

}  // namespace
}  // namespace fdi::profile
