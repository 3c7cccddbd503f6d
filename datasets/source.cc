#include "datasets/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "core/error.h"

namespace fdi::datasets {

Source::Source(std::string path) : where_(std::move(path)) {
  fd_ =
      ::open(where_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe without a writer is refused, not waited for
  if (fd_ < 0) core::fail("{}: cannot read: {}; check the path", where_, std::strerror(errno));
  struct stat info {};
  const bool known = ::fstat(fd_, &info) == 0;
  size_ = info.st_size;
  if (known && S_ISREG(info.st_mode)) return;
  ::close(fd_);
  if (known && S_ISDIR(info.st_mode)) core::fail("{}: is a folder, no regular file; wanted a data file", where_);
  core::fail("{}: is no regular file; wanted a data file", where_);
}

Source::Source(std::span<const uint8_t> memory, std::string where)
    : where_(std::move(where)), memory_(memory), size_(static_cast<int64_t>(memory.size())) {}

Source::~Source() {
  if (fd_ >= 0) ::close(fd_);
}

std::span<const uint8_t> Source::read(int64_t offset, int64_t bytes, std::vector<uint8_t>& buffer) const {
  DCHECK(offset >= 0 && bytes >= 0 && bytes <= size_ - offset);
  if (fd_ < 0) return memory_.subspan(static_cast<size_t>(offset), static_cast<size_t>(bytes));
  buffer.resize(static_cast<size_t>(bytes));
  for (int64_t got = 0; got < bytes;) {
    const ssize_t n = ::pread(fd_, buffer.data() + got, static_cast<size_t>(bytes - got), offset + got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) core::fail("{}: cannot read: {}", where_, std::strerror(errno));
    if (n == 0)
      core::fail("{}: ends at byte {}, had {}: the file became shorter while in use; start again when it is complete",
                 where_, offset + got, size_);
    got += n;
  }
  return buffer;
}

}  // namespace fdi::datasets
