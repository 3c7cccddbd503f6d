// From a name or a path to a Dataset: finds the data, detects the format, opens a split. Called by the program's
// subcommands. locate() tells which place was taken, so that the program can print it.
#pragma once
#include <string>
#include <utility>

#include "datasets/dataset.h"
#include "datasets/image_set.h"

namespace fdi::datasets {

struct Located {
  std::string path;  // a folder, an archive, or "synthetic[:...]"
  std::string how;   // "--data", "$FASTDEEPIOT_DATA", "../shared/data", "~/.cache/fastdeepiot", "built in"
};

// An existing path wins; else the name under $FASTDEEPIOT_DATA, ../shared/data, ~/.cache/fastdeepiot. A path that is a
// root of several sets, such as $FASTDEEPIOT_DATA itself, stands for the cifar10 in it. Throws Error that lists every
// place that was searched.
Located locate(const std::string& name_or_path);

// `path` may be a folder with train/ and test/ (or val/), with train.tar[.gz|.xz|...] and so on, with CIFAR-10's binary
// files or archive; one such archive; or "synthetic[:...]". Throws Error that lists what was looked for.
DatasetPtr open_dataset(const std::string& path, Split split, const ImageOptions& options = {});

// Whether `path` offers this split at all; a file that turns out to be damaged is open_dataset's to tell.
bool has_split(const std::string& path, Split split);

// Both splits, of one image size. The labels of both are by the training split's classes; the test split may lack some.
std::pair<DatasetPtr, DatasetPtr> open_train_and_test(const std::string& path, const ImageOptions& options = {});
// Throws Error that names the first class which only one of the two has.
void check_same_classes(const std::vector<std::string>& got, const std::string& got_where,
                        const std::vector<std::string>& wanted, const std::string& wanted_where);

}  // namespace fdi::datasets
