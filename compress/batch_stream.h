// BatchStream: batches of a source one after the other, passes without end, from any place on, so that a resumed run
// sees those that the uninterrupted one would. Read by the search and by the rounds of pruning.
#pragma once
#include <cstdint>

#include "core/error.h"
#include "nn/batch_source.h"

namespace fdi::compress {

class BatchStream {
 public:
  // Begins behind so many batches. Throws Error for a source without any.
  BatchStream(nn::BatchSource& source, int64_t taken) : source_(source) {
    if (source.batches() < 1) core::fail("the training data hold no batch; give more images");
    epoch_ = static_cast<int>(taken / source.batches()) + 1;
    source.start(epoch_);
    nn::Batch skipped;
    for (int64_t i = taken % source.batches(); i > 0; --i) source.next(skipped);
  }
  nn::Batch take() {  // valid until the next call
    nn::Batch batch;
    if (source_.next(batch)) return batch;
    source_.start(++epoch_);
    if (!source_.next(batch)) core::fail("the training data hold no batch; give more images");
    return batch;
  }

 private:
  nn::BatchSource& source_;
  int epoch_ = 1;
};

}  // namespace fdi::compress
