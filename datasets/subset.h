// Datasets made of others: some examples of one, the split of a training set into training and validation part, and the
// same examples labelled by another list of classes. Called by open_train_and_test() and by the commands.
#pragma once
#include <utility>
#include <vector>

#include "datasets/dataset.h"

namespace fdi::datasets {

DatasetPtr make_subset(DatasetPtr base, std::vector<int64_t> indices, std::string what);

// (training, validation): `fraction` of each class, rounded, goes to validation, drawn by Rng(seed, kSplit, class).
// Throws Error where a part would be empty.
std::pair<DatasetPtr, DatasetPtr> split_validation(const DatasetPtr& base, double fraction, uint64_t seed);

// Throws Error that names the first of `classes` which is not `known`, and what else it may be.
void check_known_classes(const std::vector<std::string>& classes, const std::string& where,
                         const std::vector<std::string>& known, const std::string& known_where);
// The images of `base` with labels by `classes`, which must hold all of its classes, in any order; `where` names them.
// warnings() lists the classes without images. Throws Error for a class that is not among them.
DatasetPtr with_classes(DatasetPtr base, const std::vector<std::string>& classes, const std::string& where);

}  // namespace fdi::datasets
