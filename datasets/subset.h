// Subset: some examples of a dataset, and the split of a training set into training and validation part.
// Called by the trainer's command.
#pragma once
#include <utility>
#include <vector>

#include "datasets/dataset.h"

namespace fdi::datasets {

DatasetPtr make_subset(DatasetPtr base, std::vector<int64_t> indices, std::string what);

// (training, validation): `fraction` of each class, rounded, goes to validation, drawn by Rng(seed, kSplit, class).
// Throws Error where a part would be empty.
std::pair<DatasetPtr, DatasetPtr> split_validation(const DatasetPtr& base, double fraction, uint64_t seed);

}  // namespace fdi::datasets
