// The store where it lies badly: a disk without locks or shared memory, a file or folder that may only be read, an
// empty file, a folder that may not be looked into.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/file.h"
#include "tests/profile/store_file.h"

namespace {
int no_locks = 0;  // the error of every lock; 0: they work
}  // namespace

// The program's own flock, which is this one: what SQLite calls is replaced below.
extern "C" int flock(int fd, int operation) noexcept {
  if (no_locks == 0) return static_cast<int>(::syscall(SYS_flock, fd, operation));
  errno = no_locks;
  return -1;
}

namespace fdi::profile {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

int fcntl_without_locks(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  auto* argument = va_arg(rest, void*);
  va_end(rest);
  if (command != F_SETLK && command != F_GETLK) return ::fcntl(fd, command, argument);
  errno = no_locks;
  return -1;
}

void* no_mmap(void* /*at*/, size_t /*bytes*/, int /*protection*/, int /*flags*/, int /*fd*/, off_t /*offset*/) {
  errno = ENODEV;
  return MAP_FAILED;
}

// While it lives, SQLite calls this in place of the system.
class Instead {
 public:
  Instead(const char* name, sqlite3_syscall_ptr call) : name_(name) {
    vfs_ = sqlite3_vfs_find(nullptr);
    EXPECT_EQ(vfs_->xSetSystemCall(vfs_, name, call), SQLITE_OK);
  }
  ~Instead() { vfs_->xSetSystemCall(vfs_, name_, nullptr); }

 private:
  const char* name_;
  sqlite3_vfs* vfs_;
};

TEST_F(StoreFile, ADiskWithoutLocksIsNamedAsTheCause) {
  { Store store(path_); }
  for (const int error : {ENOLCK, EOPNOTSUPP}) {
    no_locks = error;
    {
      const Instead fcntl("fcntl", reinterpret_cast<sqlite3_syscall_ptr>(fcntl_without_locks));
      for (const auto access : {Store::Access::kMake, Store::Access::kRead})
        EXPECT_THAT(message_of([&] { Store store(path_, access, 0); }),
                    AllOf(HasSubstr(path_ + ": this disk gives no file locks"), HasSubstr("--db")))
            << error;
    }
    no_locks = 0;
  }
  const Instead mmap("mmap", reinterpret_cast<sqlite3_syscall_ptr>(no_mmap));
  EXPECT_THAT(message_of([&] { Store store(path_); }),
              AllOf(HasSubstr(path_ + ": this disk gives no file locks, or no memory shared between processes"),
                    HasSubstr("--db")));
}

// What `call` says as a user who owns nothing here. (Root may write everywhere.)
std::string as_nobody(const std::function<std::string()>& call) {
  int pipe[2];
  if (::pipe(pipe) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text = "cannot become nobody";
    if (::geteuid() != 0 || (::setgid(65534) == 0 && ::setuid(65534) == 0)) text = call();
    ::_exit(::write(pipe[1], text.data(), text.size()) > 0 ? 0 : 1);
  }
  ::close(pipe[1]);
  char text[2000];
  const ssize_t n = ::read(pipe[0], text, sizeof text);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : "nothing";
}

class ReadOnlyStore : public StoreFile {
 protected:
  void SetUp() override {
    StoreFile::SetUp();
    const Store::Run run = [&] {
      Store store(path_);
      store.add_model(test_device(), {{"v", 1}});
      const Store::Run made = store.open_run(test_device(), kRequest);
      store.add_jobs(made.id, three());
      store.keep(made.id, reading(0, 0));
      return made;
    }();
    run_ = run.id;
    folder_ = std::filesystem::path(path_).parent_path();
    ::chmod(dir_.c_str(), 0755);
    may_be_written(false);
  }
  void TearDown() override { may_be_written(true); }
  void may_be_written(bool yes) const {
    ::chmod(path_.c_str(), yes ? 0644 : 0444);
    ::chmod(folder_.c_str(), yes ? 0755 : 0555);
  }
  std::string read_all() const {
    const std::string error = message_of([&] {
      Store store(path_, Store::Access::kRead);
      if (store.devices().size() != 1 || store.readings(run_).size() != 1) core::fail("something is missing");
      if (!store.newest_model(test_device())) core::fail("the model is missing");
      store.export_json();
    });
    return error.empty() ? "read" : error;
  }
  int files() const { return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder_), {})); }
  int64_t run_ = 0;
  std::filesystem::path folder_;
};

TEST_F(ReadOnlyStore, IsRead) {
  EXPECT_EQ(as_nobody([&] { return read_all(); }), "read");
  EXPECT_EQ(files(), 1);
  const std::string odd = (folder_ / "a ?b#c%20.db").string();
  may_be_written(true);
  std::filesystem::rename(path_, odd);
  path_ = odd;
  may_be_written(false);
  EXPECT_EQ(as_nobody([&] { return read_all(); }), "read");
}

// Its owner could not write what a reader leaves beside it.
TEST_F(ReadOnlyStore, LeavesNothingInAFolderThatMayBeWritten) {
  ::chmod(folder_.c_str(), 0777);
  EXPECT_EQ(as_nobody([&] { return read_all(); }), "read");
  EXPECT_EQ(files(), 1);
}

TEST_F(ReadOnlyStore, IsNotWritten) {
  for (const auto access : {Store::Access::kMake, Store::Access::kWrite})
    EXPECT_THAT(as_nobody([&] { return message_of([&] { Store store(path_, access); }); }),
                HasSubstr(path_ + ": cannot be opened for writing"));
  if (::geteuid() != 0) return;
  may_be_written(true);  // by root, also with this handle
  Store store(path_, Store::Access::kRead);
  EXPECT_NE(message_of([&] { store.add_model(test_device(), {{"v", 2}}); }), "");
}

// Without its log a part would be missing.
TEST_F(ReadOnlyStore, ThatNeedsItsLogSaysSo) {
  may_be_written(true);
  const pid_t child = ::fork();
  if (child == 0) {
    Store store(path_);
    store.keep(run_, reading(1, 0));
    ::_exit(0);  // as if killed
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_GT(std::filesystem::file_size(path_ + "-wal"), 0U);
  std::filesystem::remove(path_ + "-shm");
  may_be_written(false);
  EXPECT_THAT(as_nobody([&] { return read_all(); }), HasSubstr("a part of it is in " + path_ + "-wal"));
  may_be_written(true);
  EXPECT_EQ(Store(path_).readings(run_).size(), 2U);
}

TEST_F(StoreFile, AnEmptyFileIsReadAndLeftEmpty) {
  const std::string file = (dir_ / "zero.db").string();
  std::ofstream(file).close();
  for (const auto access : {Store::Access::kRead, Store::Access::kWrite}) {
    Store store(file, access);
    EXPECT_TRUE(store.devices().empty());
    EXPECT_FALSE(store.newest_model(test_device()));
    EXPECT_THAT(message_of([&] { store.export_json(1); }), HasSubstr(file + ": has no device 1"));
    if (access == Store::Access::kWrite) {
      EXPECT_THAT(message_of([&] { store.remove(Store::Kind::kRun, 1); }), HasSubstr("has no run 1"));
    }
  }
  EXPECT_EQ(std::filesystem::file_size(file), 0U);
  EXPECT_THAT(message_of([&] { Store((dir_ / "none.db").string(), Store::Access::kRead); }),
              HasSubstr("there is no such database"));
}

TEST_F(StoreFile, AFolderThatMayNotBeLookedInto) {
  const std::filesystem::path shut = dir_ / "shut";
  std::filesystem::create_directory(shut);
  ::chmod(dir_.c_str(), 0755);
  ::chmod(shut.c_str(), 0700);
  if (::geteuid() != 0) ::chmod(shut.c_str(), 0000);
  for (const auto access : {Store::Access::kRead, Store::Access::kMake})
    EXPECT_THAT(as_nobody([&] { return message_of([&] { Store store((shut / "f.db").string(), access); }); }),
                AllOf(HasSubstr((shut / "f.db").string()), HasSubstr("Permission denied")));
  ::chmod(shut.c_str(), 0700);
}

}  // namespace
}  // namespace fdi::profile
