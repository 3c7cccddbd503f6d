// Dataset: labelled images by index. Everything that a Loader batches comes through this interface.
// open_dataset() (datasets/open.h) makes one from a name or a path.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/shape.h"

namespace fdi::datasets {

enum class Split { kTrain, kTest };

// The folder and archive names that a split may have; the first one is its name for people.
inline std::span<const char* const> split_names(Split split) {
  static constexpr const char* kTrain[] = {"train"};
  static constexpr const char* kTest[] = {"test", "val", "valid", "validation"};
  if (split == Split::kTrain) return kTrain;
  return kTest;
}

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual const std::vector<std::string>& classes() const = 0;
  virtual core::Shape image_shape() const = 0;  // (height, width, 3), the same for all images
  virtual int label(int64_t index) const = 0;
  // Pixels 0..255, row-major (height, width, 3), into `out` of image_shape().size() bytes. Thread-safe.
  virtual void image(int64_t index, std::span<uint8_t> out) const = 0;
  // "class/file" of an image file; "" where images have no names.
  virtual std::string name(int64_t index) const { return {}; }
  virtual std::string source() const = 0;  // "CIFAR-10 (JPEG) train from /data/cifar10/train.tar.xz", for people
  // Remarks on the reading, one line each: "3 files that are no images were ignored (...)". A set that is decoded on
  // demand counts only the images decoded so far.
  virtual std::vector<std::string> warnings() const { return {}; }
};
using DatasetPtr = std::shared_ptr<const Dataset>;

}  // namespace fdi::datasets
