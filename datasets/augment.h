// From stored pixels to what the network reads: optional random crop and flip, then normalisation to float.
// Called by the Loader's workers for every example, so it allocates nothing.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"
#include "core/shape.h"
#include "datasets/statistics.h"

namespace fdi::datasets {

struct Augmentation {
  int pad_crop = 0;   // shift by up to this many pixels either way; what comes in at the border is black
  bool flip = false;  // mirror left-right, half of the time
  bool operator==(const Augmentation&) const = default;
};

class Augmenter {
 public:
  Augmenter(const core::Shape& image, const Normalization& normalization, const Augmentation& augmentation);
  // `pixels` and `out` (height, width, 3). Draws from `rng` only where the augmentation asks for it.
  void apply(std::span<const uint8_t> pixels, core::Rng rng, float* out);
  void convert(std::span<const uint8_t> pixels, float* out);  // normalisation only

 private:
  void convert_row(const uint8_t* row, float* out) const;
  int height_, width_;
  Augmentation augmentation_;
  std::vector<float> scale_, offset_;  // per value of a row (width, 3): x = pixel * scale + offset
  std::vector<uint8_t> row_;           // scratch: one row after crop and flip
};

}  // namespace fdi::datasets
