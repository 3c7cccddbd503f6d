// Files that are never half there, and locks between processes. AtomicFile writes to a temporary name beside the
// target, syncs, then renames. Whatever goes wrong before commit() (full disk, kill, exception) leaves the previous
// file as it was. Symbolic links are followed; a device or pipe is written to directly.
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

// An exclusive lock between processes on a file of its own, which is made and, at the end, removed. The system gives up
// the lock of a process that ends in whatever way, so that a file left behind by a killed one does not block.
class FileLock {
 public:
  enum class State {
    kHeld,
    kBusy,         // another process holds it: holder()
    kUnsupported,  // the file system knows no locks (NFS without a lock daemon, Lustre without -o flock)
  };
  // `purpose`, one line, is what holder() tells the others. Throws Error where the file cannot be made.
  FileLock(std::string path, std::string_view purpose);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  State state() const { return state_; }
  const std::string& holder() const { return holder_; }  // "process 4711 on host, since 2026-01-31 12:00:00: purpose"

 private:
  std::string path_, holder_;
  State state_ = State::kHeld;
  int fd_ = -1;
};

// Like std::filesystem::exists and is_directory, but a place that may not be looked into (no permission, a name too
// long) is an Error with its path and the reason, not "no".
bool path_exists(const std::string& path);
bool is_folder(const std::string& path);

// Where a user's data lie: $XDG_DATA_HOME or ~/.local/share; empty where neither is known.
std::string data_home();

void write_file_atomically(const std::string& path, std::string_view text);
// All of a file, a pipe, or of "-", standard input. Throws Error where it cannot be read or has more than `max_bytes`.
std::string read_file(const std::string& path, uint64_t max_bytes = uint64_t{8} << 30);

}  // namespace fdi::core
