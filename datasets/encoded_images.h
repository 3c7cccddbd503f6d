// EncodedImages: the list of a set's image files with their labels, and where each one's bytes are: in a file of its
// own, at an offset of one big file (a plain tar), or in memory. Filled by the folder and archive scans, read by
// ImageSet.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/archive.h"
#include "datasets/dataset.h"

namespace fdi::datasets {

class EncodedImages {
 public:
  enum class Kind { kFiles, kOneFile, kMemory };
  EncodedImages(Kind kind, std::string place, Split split);  // kOneFile: `place` is opened
  ~EncodedImages();
  EncodedImages(const EncodedImages&) = delete;
  EncodedImages& operator=(const EncodedImages&) = delete;

  void add_class(std::string_view name);  // in any order
  void add(std::string_view class_name, std::string name, int64_t offset, int64_t bytes);
  void add_memory(std::string_view class_name, std::string name, std::span<const uint8_t> bytes);
  void ignore(std::string_view name);
  // Sorts classes and images by name and numbers the labels; throws for an empty class or none at all.
  void finish();

  int64_t size() const { return static_cast<int64_t>(items_.size()); }
  int label(int64_t i) const { return items_[i].label; }
  int64_t memory_bytes() const { return static_cast<int64_t>(memory_.size()); }
  // The bytes of image i, in `buffer` or in memory of this object. Thread-safe. Throws Error naming the image.
  std::span<const uint8_t> read(int64_t i, std::vector<uint8_t>& buffer) const;
  std::string where(int64_t i) const;  // "train.tar: train/cat/0001.jpg", heads messages

  const std::vector<std::string>& classes() const { return classes_; }
  const std::string& place() const { return place_; }
  Split split() const { return split_; }
  std::vector<std::string> warnings() const;
  void release_memory();  // after everything has been decoded

 private:
  struct Item {
    std::string name;
    int label;
    int64_t offset, bytes;
  };
  int class_index(std::string_view name);
  Kind kind_;
  std::string place_;
  Split split_;
  int fd_ = -1;
  std::vector<Item> items_;
  std::vector<std::string> classes_;
  std::vector<uint8_t> memory_;
  int64_t ignored_ = 0;
  std::string first_ignored_;
};

bool has_image_extension(std::string_view name);  // .jpg .jpeg .png, any case

}  // namespace fdi::datasets
