// See the header. Whole rows are converted in one loop over (width, 3) that the compiler vectorises.
#include "datasets/augment.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace fdi::datasets {

Augmenter::Augmenter(const core::Shape& image, const Normalization& n, const Augmentation& augmentation)
    : height_(image[0]),
      width_(image[1]),
      augmentation_(augmentation),
      scale_(static_cast<size_t>(width_) * 3),
      offset_(scale_.size()),
      row_(scale_.size()) {
  if (augmentation.pad_crop < 0 || augmentation.pad_crop >= std::min(height_, width_))
    core::fail("the random shift by up to {} pixels wants larger images than {}; add --augment off",
               augmentation.pad_crop, core::to_string(image));
  for (size_t c = 0; c < 3; ++c)
    if (!(n.stddev[c] > 0)) core::fail("normalisation: deviation {} of channel {}; wanted more than 0", n.stddev[c], c);
  for (size_t i = 0; i < scale_.size(); ++i) {
    scale_[i] = 1 / (255 * n.stddev[i % 3]);
    offset_[i] = -n.mean[i % 3] / n.stddev[i % 3];
  }
}

void Augmenter::convert_row(const uint8_t* row, float* out) const {
  const float* scale = scale_.data();
  const float* offset = offset_.data();
  const size_t n = scale_.size();
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(row[i]) * scale[i] + offset[i];
}

void Augmenter::convert(std::span<const uint8_t> pixels, float* out) {
  for (int y = 0; y < height_; ++y) convert_row(pixels.data() + y * row_.size(), out + y * row_.size());
}

void Augmenter::apply(std::span<const uint8_t> pixels, core::Rng rng, float* out) {
  const int p = augmentation_.pad_crop;
  const int dy = p > 0 ? static_cast<int>(rng.below(2 * p + 1)) - p : 0;
  const int dx = p > 0 ? static_cast<int>(rng.below(2 * p + 1)) - p : 0;
  const bool mirror = augmentation_.flip && (rng.next() >> 63) != 0;
  const ptrdiff_t begin = std::max(0, -dx), end = std::min(width_, width_ - dx);  // columns that lie inside the image
  for (int y = 0; y < height_; ++y) {
    const int sy = y + dy;
    std::fill(row_.begin(), row_.end(), uint8_t{0});
    if (sy >= 0 && sy < height_) {
      const uint8_t* from = pixels.data() + sy * row_.size();
      if (!mirror)
        std::memcpy(row_.data() + 3 * begin, from + 3 * (begin + dx), 3 * static_cast<size_t>(end - begin));
      else
        for (ptrdiff_t x = begin; x < end; ++x) {
          uint8_t* to = row_.data() + 3 * (width_ - 1 - x);
          const uint8_t* px = from + 3 * (x + dx);
          to[0] = px[0], to[1] = px[1], to[2] = px[2];
        }
    }
    convert_row(row_.data(), out + y * row_.size());
  }
}

}  // namespace fdi::datasets
