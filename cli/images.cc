// See images.h.
#include "cli/images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/terminal.h"
#include "core/error.h"
#include "core/rng.h"
#include "datasets/subset.h"

namespace fdi::cli {

using nlohmann::json;

void announce(const datasets::Dataset& images, const std::string& how) {
  note("data: {}, {} images of {} in {} classes ({})", images.source(), images.size(),
       core::to_string(images.image_shape()), images.classes().size(), how);
  for (const std::string& warning : images.warnings()) note("warning: {}", warning);
}

datasets::DatasetPtr take(const datasets::DatasetPtr& images, int64_t limit) {
  if (limit <= 0 || limit >= images->size()) return images;
  // Drawn, not every n-th: labels often repeat with the index. The draw depends on nothing but the two sizes.
  std::vector<int64_t> indices(static_cast<size_t>(images->size()));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  core::Rng(0, core::Stream::kSplit, limit, images->size()).shuffle(indices.begin(), indices.end());
  indices.resize(static_cast<size_t>(limit));
  std::sort(indices.begin(), indices.end());  // files are read in their order
  return datasets::make_subset(images, std::move(indices), fmt::format("{} drawn images", limit));
}

Metadata to_metadata(const ImageFacts& facts) {
  const json normalization = {{"mean", facts.normalization.mean}, {"stddev", facts.normalization.stddev}};
  return {{"classes", json(facts.classes).dump()},
          {"normalization", normalization.dump()},
          {"image_size", std::to_string(facts.image_size)},
          {"trained_on", facts.trained_on}};
}

ImageFacts image_facts(const Metadata& metadata, const std::string& where) {
  try {
    ImageFacts facts;
    facts.classes = json::parse(metadata.at("classes")).get<std::vector<std::string>>();
    const json normalization = json::parse(metadata.at("normalization"));
    facts.normalization.mean = normalization.at("mean").get<std::array<float, 3>>();
    facts.normalization.stddev = normalization.at("stddev").get<std::array<float, 3>>();
    facts.image_size = json::parse(metadata.at("image_size")).get<int>();
    facts.trained_on = metadata.at("trained_on");
    return facts;
  } catch (const json::exception&) {
  } catch (const std::out_of_range&) {
  }
  core::fail(
      "{}: does not say its classes and how its images were normalised; give a file that `fastdeepiot train` wrote",
      where);
}

datasets::ImageOptions image_options(int image_size) {
  datasets::ImageOptions options;
  options.height = options.width = image_size;
  return options;
}

void check_fit(const datasets::Dataset& images, const ImageFacts& facts, const core::Shape& input,
               const std::string& where) {
  if (images.image_shape() != input)
    core::fail("{}: wants images of {}, but {} has {}; give other data, or train with --image-size", where,
               core::to_string(input), images.source(), core::to_string(images.image_shape()));
  datasets::check_same_classes(images.classes(), images.source(), facts.classes, where);
}

TrainingImages open_training_images(const json& data, uint64_t seed) {
  const datasets::Located located = datasets::locate(data.at("name"));
  auto [train, test] = datasets::open_train_and_test(located.path, image_options(data.at("image_size")));
  const int64_t limit = data.at("limit");
  TrainingImages images{take(train, limit), nullptr, take(test, limit)};
  announce(*images.train, located.how);
  const double fraction = data.at("validation");
  if (fraction > 0)
    std::tie(images.train, images.validation) = datasets::split_validation(images.train, fraction, seed);
  return images;
}

datasets::LoaderOptions training_loader(const json& data, int batch, uint64_t seed) {
  datasets::LoaderOptions options;
  options.batch = batch;
  options.seed = seed;
  options.shuffle = true;
  if (data.at("augment").get<bool>()) options.augment = {.pad_crop = 4, .flip = true};
  return options;
}

datasets::LoaderOptions judging_loader(int batch) {
  datasets::LoaderOptions options;
  options.batch = batch;
  options.shuffle = false;
  return options;
}

bool LoaderSource::next(nn::Batch& batch) {
  const datasets::Batch* made = loader_.next();
  if (made == nullptr) return false;
  batch = {made->size, made->images.data, made->labels, {}};
  return true;
}

}  // namespace fdi::cli
