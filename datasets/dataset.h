// Dataset: labelled images by index. Everything that a Loader batches comes through this interface.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/shape.h"

namespace fdi::datasets {

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual const std::vector<std::string>& classes() const = 0;
  virtual core::Shape image_shape() const = 0;  // (height, width, 3), the same for all images
  virtual int label(int64_t index) const = 0;
  // Pixels 0..255, row-major (height, width, 3), into `out` of image_shape().size() bytes. Thread-safe.
  virtual void image(int64_t index, std::span<uint8_t> out) const = 0;
  virtual std::string source() const = 0;  // "CIFAR-10 (JPEG) train from /data/cifar10/train.tar.xz", for people
};

}  // namespace fdi::datasets
