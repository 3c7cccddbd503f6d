// The scans that find the image files of a split: in a folder and in a tar. Called by ImageSet.
#pragma once
#include <memory>
#include <string>

#include "datasets/encoded_images.h"
#include "datasets/source.h"

namespace fdi::datasets {

// Whether images lie in class folders there, or are listed in val_annotations.txt: not so of a test split that was
// published without labels.
bool has_classes(const std::string& split_folder);

std::unique_ptr<EncodedImages> scan_folder(const std::string& split_folder, Split split);
// Null where it holds CIFAR-10's binary files instead. At most `memory_bytes` of a compressed archive's images are
// kept.
std::unique_ptr<EncodedImages> scan_archive(const Source& archive, Split split, int64_t memory_bytes);

}  // namespace fdi::datasets
