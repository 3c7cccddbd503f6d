// Loader: batches of a dataset, made ahead of time by background threads of low priority. What is in a batch depends on
// (seed, epoch, batch number) only, never on the number of workers or on what was read before: a resumed run sees the
// same batches. Called by the trainer and the evaluation.
#pragma once
#include <memory>
#include <span>

#include "core/shape.h"
#include "datasets/augment.h"
#include "datasets/dataset.h"

namespace fdi::datasets {

struct LoaderOptions {
  int batch = 128;
  bool shuffle = true;     // epoch order from Rng(seed, kShuffle, epoch); false: in order
  bool drop_last = false;  // leave out the last batch where it is not full
  Augmentation augment;    // per example from Rng(seed, kAugment, epoch, index)
  uint64_t seed = 1;
  int workers = 1;
  int queue = 4;  // batches made ahead
};

struct Batch {
  core::ConstTensor images;     // (size, height, width, 3)
  std::span<const int> labels;  // (size)
  int size = 0;
};

class Loader {
 public:
  Loader(DatasetPtr dataset, const Normalization& normalization, const LoaderOptions& options);
  ~Loader();                 // at any time; waits for the image that each worker is at
  int64_t batches() const;   // per epoch
  int64_t examples() const;  // per epoch
  // Begins an epoch at `first_batch`, whatever was going on before.
  void start_epoch(uint64_t epoch, int64_t first_batch = 0);
  // The next batch, valid until the next call; null at the end of the epoch. Rethrows a worker's error (a broken image)
  // in its place in the order.
  const Batch* next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdi::datasets
