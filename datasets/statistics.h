// Per-channel mean and deviation of a training set, computed once and stored with the model; and what `data info`
// shows.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace fdi::datasets {

// x = (pixel / 255 - mean) / stddev, per channel (red, green, blue).
struct Normalization {
  std::array<float, 3> mean{0, 0, 0}, stddev{1, 1, 1};
  bool operator==(const Normalization&) const = default;
};

// Of all images, or of `max_images` evenly spaced ones where there are more (large sets are decoded for this).
// From integer histograms, so the same numbers on every machine. Throws Error for a set without contrast, and for
// images that cannot be read: one error that names all of them.
Normalization compute_normalization(const Dataset& dataset, int64_t max_images = 50000);

struct Description {
  std::string source;
  core::Shape image_shape;
  int64_t examples = 0, bytes = 0;  // bytes: of the decoded pixels
  std::vector<std::pair<std::string, int64_t>> per_class;
  Normalization normalization;
  std::vector<std::string> warnings;
};
Description describe(const Dataset& dataset);
std::string to_text(const Description& description);  // several lines, for a terminal

}  // namespace fdi::datasets
