// Walks the members of a tar, plain or compressed (gz, xz, bz2, zst), that lies in memory or in a mapped file.
// Nothing is ever unpacked to disk. Called by the CIFAR and image readers, and by the tar fuzzer.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace fdi::datasets {

// A file's bytes, mapped read-only for as long as the object lives. Throws core::Error where it cannot be read.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const uint8_t> bytes() const { return {data_, size_}; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// What an honest archive never exceeds; a bomb does.
struct ArchiveLimits {
  int64_t member_bytes = int64_t{64} << 20;
  int64_t total_bytes = int64_t{4} << 30;  // unpacked, of a compressed archive; a plain one is read in place
};

struct Member {
  std::string name;  // relative, without "./"
  bool regular;      // a plain file: no folder, link or device
  int64_t bytes;
  // The contents, valid until the callback returns; inside the archive's own bytes where it is a plain tar.
  std::function<std::span<const uint8_t>()> read;
};

// Calls `visit` for each member but folders, in order. Throws core::Error that names `where`, the member and the
// damage.
void for_each_member(std::span<const uint8_t> archive, const std::string& where, const ArchiveLimits& limits,
                     const std::function<void(const Member&)>& visit);

}  // namespace fdi::datasets
