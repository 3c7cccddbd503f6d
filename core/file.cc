#include "core/file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/text.h"

namespace fdi::core {
namespace {

// Where a better path would be written to, the path is bad input; anything else is what the system refuses.
[[noreturn]] void fail_write(const std::string& path, int error) {
  ErrorCode code = ErrorCode::kBadInput;
  const char* remedy = "choose a place that you may write to";
  switch (error) {
    case ENOENT:
      remedy = "create its folder first";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
      break;
    case ENAMETOOLONG:
      remedy = "choose a shorter name";
      break;
    case EMFILE:
    case ENFILE:
      code = ErrorCode::kSystem;
      remedy = "lift the limit on open files (ulimit -n)";
      break;
    case EFBIG:
      code = ErrorCode::kSystem;
      remedy = "a limit on the size of files is reached; lift it (ulimit -f) or choose another place";
      break;
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::kSystem;
      remedy = "free some space or choose another place";
      break;
    default:
      code = ErrorCode::kSystem;
      remedy = "choose another place";
  }
  fail_as(code, "{}: cannot write: {}; {}", path, std::strerror(error), remedy);
}

// The file that a path means: through symbolic links, so that renaming replaces their target and not the link.
std::string resolve(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target.string();
}

std::string host_name() {
  char name[256] = "";
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

enum class Lock { kHeld, kBusy, kUnsupported };
struct Locked {
  int fd = -1, error = 0;  // fd < 0: the file could not be made, for this reason
  Lock lock = Lock::kHeld;
};

// Whether `path` is still the name of what `fd` is open on.
bool names(const std::string& path, int fd) {
  struct stat named {
  }, opened{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &opened) == 0 && named.st_ino == opened.st_ino &&
         named.st_dev == opened.st_dev;
}

// Opens or makes `path`, and locks it where that is possible. Retries where the file was renamed or removed between
// open and lock: the lock would be of a file that has another name. A file that may only be read, such as the lock file
// of another user, can be locked all the same.
Locked open_locked(const std::string& path) {
  constexpr int kTries = 100;
  Locked locked;
  for (int i = 0; i < kTries; ++i) {
    locked = {};
    locked.fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (locked.fd < 0 && errno == EACCES) locked.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (locked.fd < 0) {
      locked.error = errno;
      return locked;
    }
    int failed = 0;
    do {
      failed = ::flock(locked.fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    } while (failed == EINTR);
    if (failed != 0) {
      locked.lock = failed == EWOULDBLOCK ? Lock::kBusy : Lock::kUnsupported;
      return locked;
    }
    if (names(path, locked.fd)) return locked;
    if (i + 1 < kTries) ::close(locked.fd);
  }
  locked.lock = Lock::kUnsupported;  // a file system whose inode numbers do not last
  return locked;
}

// What the file behind `fd` says from its beginning; "" where it cannot be read.
std::string beginning_of(int fd) {
  char text[1024];
  const ssize_t got = ::pread(fd, text, sizeof text, 0);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : "";
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  struct stat info {};
  const bool exists = ::stat(path_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) fail("{}: is a folder; give a file name", path_);
  if (exists && !S_ISREG(info.st_mode)) {  // a device or a pipe: there is nothing to keep whole, and it must stay
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) fail_write(path_, errno);
    return;
  }
  path_ = resolve(path_);
  // A fixed name, so that what a killed writer left is taken over by the next one; the lock keeps two of them apart.
  // Without locks every process has a name of its own.
  const std::filesystem::path target(path_);
  temporary_ = (target.parent_path() / fmt::format(".{}.fastdeepiot-tmp", target.filename().string())).string();
  Locked locked = open_locked(temporary_);
  if (locked.lock == Lock::kUnsupported) {
    ::unlink(temporary_.c_str());
    ::close(locked.fd);
    temporary_ += fmt::format("-{}-{}", host_name(), ::getpid());
    locked.fd = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    locked.error = errno;
  }
  if (locked.fd < 0) fail_write(path_, locked.error);
  if (locked.lock == Lock::kBusy) {
    ::close(locked.fd);
    fail("{}: another process is writing it; wait for it or choose another name", path_);
  }
  fd_ = locked.fd;
  if (::ftruncate(fd_, 0) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    ::close(fd_);
    fail_write(path_, error);
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());  // before the lock goes with the descriptor
  ::close(fd_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_write(path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  if (temporary_.empty()) {  // a device has nothing to sync or rename
    const int closed = ::close(fd_);
    fd_ = -1;
    if (closed != 0) fail_write(path_, errno);
    return;
  }
  if (::fsync(fd_) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_write(path_, errno);
  const int closed = ::close(fd_);  // after the rename: the lock holds until the name is free
  fd_ = -1;
  if (closed != 0) fail_write(path_, errno);
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  if (const int dir = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir >= 0) {
    ::fsync(dir);  // makes the rename itself durable; some file systems refuse, which loses nothing
    ::close(dir);
  }
}

FileLock::FileLock(std::string path, std::string_view purpose) : path_(std::move(path)) {
  const Locked locked = open_locked(path_);
  if (locked.fd < 0) fail_write(path_, locked.error);
  fd_ = locked.fd;
  if (locked.lock == Lock::kBusy) {
    state_ = State::kBusy;
    holder_ = printable(beginning_of(fd_));
    if (holder_.empty()) holder_ = "another process";
    return;
  }
  if (locked.lock == Lock::kUnsupported) state_ = State::kUnsupported;
  const std::string text = fmt::format("process {} on {}, since {:%Y-%m-%d %H:%M:%S}: {}", ::getpid(), host_name(),
                                       fmt::localtime(std::time(nullptr)), purpose);
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, text.data(), text.size(), 0) < 0) return;  // it locks all the same
}

FileLock::~FileLock() {
  // Before the lock goes with the descriptor. Where the folder was renamed meanwhile, the name may be another's.
  if (state_ != State::kBusy && names(path_, fd_)) ::unlink(path_.c_str());
  ::close(fd_);
}

namespace {

// Nothing where the path does not exist.
std::optional<struct stat> look(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return info;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  const bool system = errno == EIO || errno == ENOMEM || errno == ESTALE;
  fail_as(system ? ErrorCode::kSystem : ErrorCode::kBadInput,
          "{}: cannot look there: {}; check the path and its permissions", path, std::strerror(errno));
}

}  // namespace

bool path_exists(const std::string& path) { return look(path).has_value(); }

bool is_folder(const std::string& path) {
  const auto info = look(path);
  return info && S_ISDIR(info->st_mode);
}

void write_file_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

std::string read_file(const std::string& path, uint64_t max_bytes) {
  const int fd = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("{}: cannot read: {}", path, std::strerror(errno));
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail("{}: cannot read: {}", path, std::strerror(errno));
  if (S_ISDIR(info.st_mode)) fail("{}: is a folder; wanted a file", path);
  const bool sized = S_ISREG(info.st_mode) && info.st_size > 0;  // pipes have no size; files of /proc say 0
  if (sized && static_cast<uint64_t>(info.st_size) > max_bytes)
    fail("{}: has {} bytes; at most {} are accepted", path, info.st_size, max_bytes);
  constexpr size_t kPiece = 1 << 16;
  std::string text;
  size_t got = 0;
  while (true) {
    if (got == text.size()) text.resize(got == 0 && sized ? static_cast<size_t>(info.st_size) + 1 : got * 2 + kPiece);
    const ssize_t n = ::read(fd, text.data() + got, text.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("{}: cannot read: {}", path, std::strerror(errno));
    if (n == 0) break;
    got += static_cast<size_t>(n);
    if (got > max_bytes) fail("{}: has more than the {} bytes that are accepted", path, max_bytes);
  }
  text.resize(got);
  return text;
}

std::string data_home() {
  const char* data = std::getenv("XDG_DATA_HOME");
  const char* home = std::getenv("HOME");
  if (data != nullptr && *data != '\0') return data;
  return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.local/share";
}

}  // namespace fdi::core
