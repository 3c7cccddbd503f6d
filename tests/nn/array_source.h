// ArraySource: a small learnable problem in memory for the tests of training. Every class has its own pattern, every
// example adds noise to it; the order of an epoch is drawn from seed and epoch, as a real loader does it.
#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "core/rng.h"
#include "nn/batch_source.h"
#include "nn/zoo.h"

namespace fdi::nn {

// A network that trains in no time and still has convolutions, pools and fully connected layers.
inline NetworkSpec small_network() { return make_zoo("lenet", {.width = 0.5, .classes = 10, .input = {16, 16, 3}}); }

class ArraySource : public BatchSource {
 public:
  ArraySource(int examples, const core::Shape& shape, int classes, int batch, bool shuffle, uint64_t seed = 3)
      : size_(shape.size()), batch_(batch), shuffle_(shuffle), seed_(seed) {
    std::vector<float> patterns(static_cast<size_t>(classes * size_));
    const int height = shape[0], width = shape[1], channels = shape[2];
    for (int c = 0; c < classes; ++c)
      for (int64_t j = 0; j < size_; ++j) {  // squares of 4 x 4 pixels, the same for a class whatever the seed
        const int64_t y = j / width / channels / 4, x = j / channels % width / 4, channel = j % channels;
        patterns[static_cast<size_t>(c * size_ + j)] =
            core::Rng(1, core::Stream::kTest, c, y * height + x, channel).normal();
      }
    core::Rng rng(seed, core::Stream::kSynthetic);
    for (int i = 0; i < examples; ++i) {
      labels_.push_back(i % classes);
      const float* pattern = patterns.data() + (i % classes) * size_;
      for (int64_t j = 0; j < size_; ++j) images_.push_back(0.7F * pattern[j] + 0.7F * rng.normal());
    }
  }
  int64_t examples() const override { return static_cast<int64_t>(labels_.size()); }
  int64_t batches() const override { return (examples() + batch_ - 1) / batch_; }
  void start(int epoch) override {
    order_.resize(labels_.size());
    std::iota(order_.begin(), order_.end(), 0);
    if (shuffle_) core::Rng(seed_, core::Stream::kShuffle, epoch).shuffle(order_.begin(), order_.end());
    next_ = 0;
    ++passes_;
  }
  bool next(Batch& batch) override {
    const size_t n = std::min(static_cast<size_t>(batch_), order_.size() - next_);
    if (n == 0) return false;
    batch_images_.clear();
    batch_labels_.clear();
    for (size_t i = next_; i < next_ + n; ++i) {
      const float* image = images_.data() + order_[i] * size_;
      batch_images_.insert(batch_images_.end(), image, image + size_);
      batch_labels_.push_back(labels_[static_cast<size_t>(order_[i])]);
    }
    next_ += n;
    batch.size = static_cast<int>(n);
    batch.images = batch_images_.data();
    batch.labels = batch_labels_;
    batch.lengths = {};
    return true;
  }
  int passes() const { return passes_; }
  std::vector<float>& images() { return images_; }

 private:
  int64_t size_;
  int batch_;
  bool shuffle_;
  uint64_t seed_;
  std::vector<float> images_, batch_images_;
  std::vector<int> labels_, batch_labels_, order_;
  size_t next_ = 0;
  int passes_ = 0;
};

}  // namespace fdi::nn
