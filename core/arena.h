// Arena: one aligned block of zeroed memory, cut up front to back. A Network plans its weights, activations and
// scratch as Arenas, so that forward and backward allocate nothing. mark()/rewind() give scratch back in LIFO order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/shape.h"

namespace fdi::core {

class Arena {
 public:
  static constexpr size_t kAlignment = 64;  // one cache line, one AVX-512 vector

  Arena() = default;
  explicit Arena(size_t bytes);  // zeroed; large blocks ask for huge pages (fewer TLB misses on 60 MB of weights)

  float* floats(int64_t count);  // CHECKs that the block is large enough: sizes are planned beforehand
  Tensor tensor(const Shape& shape) { return {floats(shape.size()), shape}; }

  size_t mark() const { return used_; }
  void rewind(size_t mark) { used_ = mark; }
  size_t used() const { return used_; }
  size_t capacity() const { return capacity_; }

  // Bytes that `count` floats take inside an arena.
  static size_t padded_bytes(int64_t count) {
    return (static_cast<size_t>(count) * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte[], Free> block_;
  size_t capacity_ = 0;
  size_t used_ = 0;
};

}  // namespace fdi::core
