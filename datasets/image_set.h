// ImageSet: labelled JPEG/PNG images from folders `split/class/*` or from a tar of the same layout. A set that fits is
// decoded once into memory; a larger one is decoded on demand, image by image, in the Loader's threads.
// Called by open_dataset().
#pragma once
#include <string>

#include "datasets/dataset.h"
#include "datasets/source.h"

namespace fdi::datasets {

struct ImageOptions {
  int height = 0, width = 0;  // every image is fitted to this; 0: all images must have one size, which is kept
  int64_t memory_bytes = int64_t{2} << 30;  // a set that decodes to no more is decoded once, when it is opened
};

// Classes are the sorted folder names. Files that are no .jpg, .jpeg or .png, hidden folders and links that lead
// nowhere are left out; warnings() lists them. An empty class folder of the training split, no images at all, damaged
// images (one error names all) or images of different sizes are errors; of a set that is decoded on demand, opening it
// reads one image only, and image() throws the errors of the others.
DatasetPtr open_image_folder(const std::string& split_folder, Split split, const ImageOptions& options);

// Members `<split>/<class>/<file>`, perhaps below further folders; in a file called `<split>.tar*` also
// `<class>/<file>`. A plain tar is read in place, image by image; a compressed one must fit into memory_bytes. An
// archive of CIFAR-10's binary files is opened as that, whatever its name. In memory, `archive` is copied.
DatasetPtr open_image_archive(const Source& archive, Split split, const ImageOptions& options);

}  // namespace fdi::datasets
