// BatchSource: where training and evaluation get their labelled batches from. nn knows no files and no images: the
// command line implements this over datasets::Loader, tests over arrays.
#pragma once
#include <cstdint>
#include <span>

#include "core/shape.h"

namespace fdi::nn {

struct Batch {
  int size = 0;                   // examples in this batch; the last of a pass may be smaller than the others
  const float* images = nullptr;  // (size, input shape)
  std::span<const int> labels;    // (size)
  std::span<const int> lengths;   // valid steps of each example's sequence; empty: all are valid
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual int64_t examples() const = 0;  // of one pass
  virtual int64_t batches() const = 0;   // of one pass
  // Begins the pass of an epoch (from 1). The same epoch always gives the same batches: a resumed run relies on it.
  virtual void start(int epoch) = 0;
  virtual bool next(Batch& batch) = 0;  // false at the end; the batch is valid until the next call
};

}  // namespace fdi::nn
