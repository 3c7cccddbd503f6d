// Files that are never half there: AtomicFile writes to a temporary name beside the target, syncs, then renames.
// Whatever goes wrong before commit() (full disk, kill, exception) leaves the previous file as it was. Symbolic links
// are followed; a device or pipe is written to directly.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fdi::core {

class AtomicFile {
 public:
  explicit AtomicFile(std::string path);  // throws Error naming the path and the reason
  ~AtomicFile();                          // not committed: the temporary file is removed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);  // throws Error (e.g. disk full)
  void write(std::string_view text);
  void commit();  // flush, sync, rename over the target, sync the directory

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

// Where a user's data lie: $XDG_DATA_HOME or ~/.local/share; empty where neither is known.
std::string data_home();

void write_file_atomically(const std::string& path, std::string_view text);
// The whole file; throws Error where it cannot be read or is larger than `max_bytes`.
std::string read_file(const std::string& path, uint64_t max_bytes = uint64_t{8} << 30);

}  // namespace fdi::core
