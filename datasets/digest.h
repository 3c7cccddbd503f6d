// Digest: what a run remembers of its images, so that it notices others when it goes on. It does not depend on where
// the images lie, nor on whether in a folder or an archive. Called by the commands.
#pragma once
#include <cstdint>
#include <string>

#include "datasets/dataset.h"

namespace fdi::datasets {

struct Digest {
  int64_t images = 0;
  std::string names;     // of all classes, labels and file names, in order; hexadecimal digits
  std::string contents;  // of the pixels of 256 images, evenly spaced: few enough to decode whenever a run begins
  bool operator==(const Digest&) const = default;
};

Digest digest(const Dataset& images);
// "had 24 images, now 30"; "" where they are the same.
std::string difference(const Digest& before, const Digest& now);
// Whether the pixels differ, but neither the number of images nor names nor labels. That is no proof of other images:
// JPEG libraries differ in the last digits of what they decode.
bool only_contents_differ(const Digest& before, const Digest& now);

}  // namespace fdi::datasets
