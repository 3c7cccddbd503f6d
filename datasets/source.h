// Source: the bytes of a file, by offset, or of memory. A file is read piece by piece and never mapped: a mapped file
// that another program shortens would end the process. Called by the archive, CIFAR and image readers.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fdi::datasets {

class Source {
 public:
  explicit Source(std::string path);  // throws Error where it cannot be read or is no regular file
  Source(std::span<const uint8_t> memory, std::string where);  // `memory` must outlive the object
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  int64_t size() const { return size_; }  // of a file: when it was opened
  bool in_file() const { return fd_ >= 0; }
  const std::string& where() const { return where_; }  // heads messages
  // `bytes` bytes from `offset`, in `buffer` or in the memory itself. Thread-safe. Throws Error where the file ends
  // before, which it did not when it was opened.
  std::span<const uint8_t> read(int64_t offset, int64_t bytes, std::vector<uint8_t>& buffer) const;

 private:
  std::string where_;
  std::span<const uint8_t> memory_;
  int fd_ = -1;  // none: memory
  int64_t size_ = 0;
};

}  // namespace fdi::datasets
