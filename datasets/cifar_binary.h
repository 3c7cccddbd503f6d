// CIFAR-10's official binary files: records of one label byte and 3072 pixels, red plane, green plane, blue plane.
// Called by open_dataset().
#pragma once
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/source.h"

namespace fdi::datasets {

// `folder` holds data_batch_1..5.bin and test_batch.bin; class names come from batches.meta.txt where it is there.
DatasetPtr open_cifar_folder(const std::string& folder, Split split);
// The same files inside cifar-10-binary.tar.gz (any folder inside it).
DatasetPtr open_cifar_archive(const Source& archive, Split split);

const std::vector<std::string>& cifar_classes();  // the ten names, in the order of the labels
bool holds_cifar_files(const std::string& folder);

}  // namespace fdi::datasets
