// Between datasets and nn: opens what --data asks for, feeds it to the trainer as a BatchSource, and checks that images
// and network belong together. Called by `train`, `compress` and `eval`.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "datasets/loader.h"
#include "datasets/open.h"
#include "nn/batch_source.h"

namespace fdi::cli {

// Says on standard error which images were taken, and what to know about them.
void announce(const datasets::Dataset& images, const std::string& how);

// `limit` images, the same ones whenever asked; all of them for 0 or where there are no more.
datasets::DatasetPtr take(const datasets::DatasetPtr& images, int64_t limit);

// What a model remembers of the images that it was trained on, so that others can be judged and read in the same way.
struct ImageFacts {
  std::vector<std::string> classes;
  datasets::Normalization normalization;
  int image_size = 0;  // what every image was fitted to; 0: taken as they were
  std::string trained_on;
};
using Metadata = std::map<std::string, std::string>;  // of a model file
Metadata to_metadata(const ImageFacts& facts);
ImageFacts image_facts(const Metadata& metadata, const std::string& where);  // throws Error where one is missing
datasets::ImageOptions image_options(int image_size);                        // throws Error for a size that cannot be
// Throws Error where the images do not fit the network's input, or their classes are not those of the model.
void check_fit(const datasets::Dataset& images, const ImageFacts& facts, const core::Shape& input,
               const std::string& where);
// The same of images to judge a model by, which may lack classes: labelled by the model's.
datasets::DatasetPtr fit_to_model(const datasets::DatasetPtr& images, const ImageFacts& facts, const core::Shape& input,
                                  const std::string& where);

// The images of one training run: opened, cut to a limit, and split, always in the same way for the same `data`:
// {"name", "image_size", "limit", "validation" (fraction), "augment"}, as a TrainConfig carries it.
struct TrainingImages {
  datasets::DatasetPtr train, validation, test;  // validation may be null
  std::string record;  // what a model and a checkpoint remember of them, as their metadata kImagesRecord
};
constexpr const char* kImagesRecord = "data";
TrainingImages open_training_images(const nlohmann::json& data, uint64_t seed);
// For a run that goes on from `checkpoint`, of this metadata. The images may lie elsewhere now. Throws Error where
// their number, names or labels are others; warns where only the pixels are (another JPEG library decodes differently
// in the last digits), and where an older checkpoint does not record them.
TrainingImages reopen_training_images(const nlohmann::json& data, uint64_t seed, const Metadata& about,
                                      const std::string& checkpoint);
// For the compression of a model, which must not be judged by images that it was trained on: the validation images are
// those of the model's own training where it had some; else a warning says what is known of them. `search` is the
// metadata of the compression's own checkpoint: a new compression records its images there, and one that is `resumed`
// from `checkpoint` compares them with the record, as reopen_training_images() does.
TrainingImages open_compression_images(const nlohmann::json& data, uint64_t seed, const Metadata& original,
                                       const std::string& model, Metadata& search, bool resumed,
                                       const std::string& checkpoint);
datasets::LoaderOptions training_loader(const nlohmann::json& data, int batch, uint64_t seed);
datasets::LoaderOptions judging_loader(int batch);

class LoaderSource : public nn::BatchSource {
 public:
  LoaderSource(datasets::DatasetPtr images, const datasets::Normalization& normalization,
               const datasets::LoaderOptions& options)
      : loader_(std::move(images), normalization, options) {}
  int64_t examples() const override { return loader_.examples(); }
  int64_t batches() const override { return loader_.batches(); }
  void start(int epoch) override { loader_.start_epoch(static_cast<uint64_t>(epoch)); }
  bool next(nn::Batch& batch) override;

 private:
  datasets::Loader loader_;
};

}  // namespace fdi::cli
