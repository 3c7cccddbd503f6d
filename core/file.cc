#include "core/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/error.h"

namespace fdi::core {
namespace {

[[noreturn]] void fail_write(const std::string& path, int error) {
  fail("{}: cannot write: {}; {}", path, std::strerror(error),
       error == ENOSPC   ? "free some space or choose another place"
       : error == ENOENT ? "create its folder first"
                         : "choose a place that you may write to");
}

// The file that a path means: through symbolic links, so that renaming replaces their target and not the link.
std::string resolve(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target.string();
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
  // One fixed name, so that what a killed writer left is taken over by the next one; the lock keeps two of them apart.
  temporary_ = path_ + ".tmp";
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_write(path_, errno);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd_);
    if (error == EWOULDBLOCK) fail("{}: another process is writing it; wait for it or choose another name", path_);
    fail_write(path_, error);
  }
  if (::ftruncate(fd_, 0) != 0) {
    const int error = errno;
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

void write_file_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

std::string read_file(const std::string& path, uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("{}: cannot read: {}", path, std::strerror(errno));
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail("{}: cannot read: {}", path, std::strerror(errno));
  if (S_ISDIR(info.st_mode)) fail("{}: is a folder; wanted a file", path);
  if (static_cast<uint64_t>(info.st_size) > max_bytes)
    fail("{}: has {} bytes; at most {} are accepted", path, info.st_size, max_bytes);
  std::string text;
  text.resize(static_cast<size_t>(info.st_size));
  size_t got = 0;
  while (got < text.size()) {
    const ssize_t n = ::read(fd, text.data() + got, text.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("{}: cannot read: {}", path, std::strerror(errno));
    if (n == 0) break;
    got += static_cast<size_t>(n);
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
