// The tar walk: libarchive parses headers; compressed input is fed to it from a ByteStream, which checks its sums.
#include "datasets/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "datasets/decompress.h"

namespace fdi::datasets {

MappedFile::MappedFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) core::fail("{}: cannot read: {}; check the path", path, std::strerror(errno));
  struct stat info {};
  const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  void* p = MAP_FAILED;
  if (is_file && info.st_size > 0)
    p = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  if (!is_file) core::fail("{}: is no regular file; wanted a data file", path);
  if (info.st_size == 0) return;
  if (p == MAP_FAILED) core::fail("{}: cannot map into memory: {}", path, std::strerror(error));
  data_ = static_cast<const uint8_t*>(p);
  size_ = static_cast<size_t>(info.st_size);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

namespace {

// libarchive's read callback cannot let an exception pass through C code: it is kept and rethrown outside.
struct Feed {
  std::unique_ptr<ByteStream> stream;
  std::exception_ptr error;
  int64_t unpacked = 0;
  int64_t limit = 0;
  std::string where;

  std::span<const uint8_t> pull() {
    const auto piece = stream->next();
    unpacked += static_cast<int64_t>(piece.size());
    if (unpacked > limit)
      core::fail(
          "{}: unpacks to more than {} MiB, which looks like a decompression bomb; unpack a large set to a folder",
          where, limit >> 20);
    return piece;
  }
  static la_ssize_t read(archive*, void* self, const void** block) {
    auto* feed = static_cast<Feed*>(self);
    try {
      const auto piece = feed->pull();
      *block = piece.data();
      return static_cast<la_ssize_t>(piece.size());
    } catch (...) {
      feed->error = std::current_exception();
      return ARCHIVE_FATAL;
    }
  }
};

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

std::string checked_name(archive_entry* entry, const std::string& where, int64_t number) {
  const char* raw = archive_entry_pathname_utf8(entry);
  if (raw == nullptr) raw = archive_entry_pathname(entry);
  if (raw == nullptr) core::fail("{}: member {} has no readable name; make the archive again", where, number);
  std::string_view name = raw;
  while (name.starts_with("./")) name.remove_prefix(2);
  const bool control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (control) core::fail("{}: member {} has control characters in its name; make the archive again", where, number);
  const std::string guarded = fmt::format("/{}/", name);
  if (name.starts_with('/') || guarded.find("/../") != std::string::npos)
    core::fail("{}: member {} has the bad path '{}'; wanted relative names without '..'; make the archive again", where,
               number, name);
  return std::string(name);
}

}  // namespace

void for_each_member(std::span<const uint8_t> bytes, const std::string& where, const ArchiveLimits& limits,
                     const std::function<void(const Member&)>& visit) {
  std::unique_ptr<archive, FreeArchive> a(archive_read_new());
  archive_read_support_format_tar(a.get());
  Feed feed{open_compressed(bytes, where), nullptr, 0, limits.total_bytes, where};
  std::string last = "the start";
  const auto damaged = [&]() {
    if (feed.error) std::rethrow_exception(feed.error);
    const char* reason = archive_error_string(a.get());
    core::fail("{}: damaged tar after {}, at byte {}: {}; fetch or make the archive again", where, last,
               archive_filter_bytes(a.get(), 0), reason != nullptr ? reason : "invalid data");
  };
  const int opened = feed.stream ? archive_read_open(a.get(), &feed, nullptr, Feed::read, nullptr)
                                 : archive_read_open_memory(a.get(), bytes.data(), bytes.size());
  if (opened != ARCHIVE_OK) damaged();

  std::vector<uint8_t> buffer;
  archive_entry* entry = nullptr;
  for (int64_t number = 1;; ++number) {
    const int status = archive_read_next_header(a.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) damaged();  // a warning is about owners, times and the like
    const auto type = archive_entry_filetype(entry);
    if (type == AE_IFDIR) continue;
    Member member{checked_name(entry, where, number), type == AE_IFREG && archive_entry_hardlink(entry) == nullptr,
                  archive_entry_size(entry), nullptr};
    last = "member '" + member.name + "'";
    if (member.bytes < 0 || member.bytes > limits.member_bytes)
      core::fail("{}: {} claims {} bytes; at most {} MiB are accepted; remove it or make the archive again", where,
                 last, member.bytes, limits.member_bytes >> 20);
    member.read = [&]() -> std::span<const uint8_t> {
      buffer.clear();
      while (true) {
        const void* block = nullptr;
        size_t size = 0;
        int64_t offset = 0;
        const int got = archive_read_data_block(a.get(), &block, &size, &offset);
        if (got == ARCHIVE_EOF) break;
        if (got != ARCHIVE_OK) damaged();
        if (size == 0) continue;
        const auto* p = static_cast<const uint8_t*>(block);
        const bool whole = offset == 0 && static_cast<int64_t>(size) == member.bytes;
        if (whole && p >= bytes.data() && p + size <= bytes.data() + bytes.size()) return {p, size};
        if (offset < 0 || offset + static_cast<int64_t>(size) > member.bytes) damaged();
        buffer.resize(static_cast<size_t>(offset));  // a gap of a sparse file reads as zeros
        buffer.insert(buffer.end(), p, p + size);
      }
      buffer.resize(static_cast<size_t>(member.bytes));
      return buffer;
    };
    visit(member);
  }
  if (feed.stream) {
    while (!feed.pull().empty()) {  // to the end, where the checksum stands
    }
  } else {
    // A tar ends with two blocks of zeros; without them it was cut, perhaps exactly between two members.
    const auto tail = bytes.size() >= 1024 ? bytes.last(1024) : std::span<const uint8_t>{};
    if (tail.empty() || std::any_of(tail.begin(), tail.end(), [](uint8_t b) { return b != 0; }))
      core::fail("{}: the tar is cut off after {} (byte {}): its end mark is missing; fetch the file again", where,
                 last, bytes.size());
  }
}

}  // namespace fdi::datasets
