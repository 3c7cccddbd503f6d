// See images.h.
#include "cli/images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "cli/terminal.h"
#include "core/error.h"
#include "core/rng.h"
#include "core/text.h"
#include "datasets/digest.h"
#include "datasets/subset.h"
#include "nn/spec.h"

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
  for (const std::string& name : facts.classes)
    if (!core::is_utf8(name))
      core::fail("{}: the class name {} is no UTF-8 text, which model files hold; rename it", facts.trained_on,
                 core::printable(name));
  const json normalization = {{"mean", facts.normalization.mean}, {"stddev", facts.normalization.stddev}};
  return {{"classes", json(facts.classes).dump()},
          {"normalization", normalization.dump()},
          {"image_size", std::to_string(facts.image_size)},
          {"trained_on", facts.trained_on}};
}

ImageFacts image_facts(const Metadata& metadata, const std::string& where) {
  try {
    ImageFacts facts;
    const auto value = [&](const char* key) { return nn::parse_json(metadata.at(key), where + ": metadata " + key); };
    facts.classes = value("classes").get<std::vector<std::string>>();
    const json normalization = value("normalization");
    facts.normalization.mean = normalization.at("mean").get<std::array<float, 3>>();
    facts.normalization.stddev = normalization.at("stddev").get<std::array<float, 3>>();
    facts.image_size = value("image_size").get<int>();
    facts.trained_on = metadata.at("trained_on");
    return facts;
  } catch (const json::exception&) {
  } catch (const std::out_of_range&) {
  }
  core::fail(
      "{}: does not say its classes and how its images were normalised; give a file that `fastdeepiot train` wrote",
      where);
}

namespace {

// How the training images are cut to a limit and split.
struct Cut {
  double validation = 0;
  uint64_t seed = 0;
  int64_t limit = 0;
};

struct Opened {
  datasets::DatasetPtr train, test;  // whole
  std::string how;
};

Opened open_both(const json& data) {
  const datasets::ImageOptions options = image_options(data.at("image_size"));
  const datasets::Located located = datasets::locate(data.at("name"));
  auto [train, test] = datasets::open_train_and_test(located.path, options);
  return {std::move(train), std::move(test), located.how};
}

TrainingImages divide(const Opened& opened, const Cut& cut) {
  TrainingImages images{take(opened.train, cut.limit), nullptr, take(opened.test, cut.limit), {}};
  announce(*images.train, opened.how);
  for (const std::string& warning : images.test->warnings()) note("warning: {}", warning);
  if (images.train->classes().size() == 1)
    note("warning: all images are of one class ({}), so there is nothing to tell apart: images lie in <split>/<class>/",
         core::printable(images.train->classes()[0]));
  if (cut.validation > 0)
    std::tie(images.train, images.validation) = datasets::split_validation(images.train, cut.validation, cut.seed);
  return images;
}

// {"train": {"images", "names", "contents"}, "test": likewise, "cut": {"validation", "seed", "limit"}}.
json to_record(const Opened& opened, const Cut& cut) {
  const auto to_json = [](const datasets::Dataset& images) -> json {
    const datasets::Digest d = datasets::digest(images);
    return {{"images", d.images}, {"names", d.names}, {"contents", d.contents}};
  };
  return {{"train", to_json(*opened.train)},
          {"test", to_json(*opened.test)},
          {"cut", {{"validation", cut.validation}, {"seed", cut.seed}, {"limit", cut.limit}}}};
}

// What `metadata` remembers under `key`; null where an older version wrote it.
json record_in(const Metadata& metadata, const char* key, const std::string& where) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return {};
  json record = json::parse(found->second, nullptr, false);
  if (record.is_object() && record.contains("train") && record.contains("test") && record.contains("cut"))
    return record;
  core::fail("{}: \"{}\" in its metadata is not as this program writes it; the file is damaged", where, key);
}

Cut cut_of(const json& record, const std::string& where) try {
  const json& cut = record.at("cut");
  return {cut.at("validation"), cut.at("seed"), cut.at("limit")};
} catch (const json::exception&) {
  core::fail("{}: what it says of its validation images is not as this program writes it; the file is damaged", where);
}

// Of the images of a split, "train" or "test".
datasets::Digest digest_of(const json& record, const char* split) {
  const json& d = record.at(split);
  return {d.value("images", int64_t{0}), d.value("names", ""), d.value("contents", "")};
}

std::string difference(const json& before, const json& now, const char* split) {
  const std::string text = datasets::difference(digest_of(before, split), digest_of(now, split));
  return text.empty() ? text : fmt::format("{}: {}", split, text);
}

void check_same_images(const Metadata& about, const char* key, const json& now, const std::string& checkpoint) {
  const json before = record_in(about, key, checkpoint);
  if (before.is_null()) {
    note(
        "warning: {} does not say which images the run began with (an older version wrote it); whether these are the "
        "same is not known",
        checkpoint);
    return;
  }
  for (const char* split : {"train", "test"}) {
    const std::string text = difference(before, now, split);
    if (text.empty()) continue;
    if (datasets::only_contents_differ(digest_of(before, split), digest_of(now, split)))
      note(
          "warning: {}: {}; the run goes on with the images as they are now; where they were replaced, start a new run "
          "in another folder",
          checkpoint, text);
    else
      core::fail(
          "{}: cannot resume: the images have changed: {}; give the same ones (--data PATH where they moved), or "
          "start a new run in another folder",
          checkpoint, text);
  }
}

// Throws Error that says how to go on where the images of a run are not found any more.
void locate_again(const json& data) try { datasets::locate(data.at("name")); } catch (const core::Error& e) {
  core::fail(
      "{}; the run began with these images: where they have moved, or the path was relative to another folder, "
      "add --data PATH to --resume",
      e.what());
}

void check_shape(const datasets::Dataset& images, const core::Shape& input, const std::string& where) {
  if (images.image_shape() != input)
    core::fail("{}: wants images of {}, but {} has {}; give other data, or train with --image-size", where,
               core::to_string(input), images.source(), core::to_string(images.image_shape()));
}

}  // namespace

datasets::ImageOptions image_options(int image_size) {
  constexpr int kLargest = 8192;  // 192 MiB of pixels
  if (image_size < 0 || image_size > kLargest)
    core::fail("--image-size {}: wanted 0 (as they are) to {}", image_size, kLargest);
  datasets::ImageOptions options;
  options.height = options.width = image_size;
  return options;
}

void check_fit(const datasets::Dataset& images, const ImageFacts& facts, const core::Shape& input,
               const std::string& where) {
  check_shape(images, input, where);
  datasets::check_same_classes(images.classes(), images.source(), facts.classes, where);
}

datasets::DatasetPtr fit_to_model(const datasets::DatasetPtr& images, const ImageFacts& facts, const core::Shape& input,
                                  const std::string& where) {
  check_shape(*images, input, where);
  return datasets::with_classes(images, facts.classes, where);
}

TrainingImages open_training_images(const json& data, uint64_t seed) {
  const Opened opened = open_both(data);
  const Cut cut{data.at("validation"), seed, data.at("limit")};
  TrainingImages images = divide(opened, cut);
  images.record = to_record(opened, cut).dump();
  return images;
}

TrainingImages reopen_training_images(const json& data, uint64_t seed, const Metadata& about,
                                      const std::string& checkpoint) {
  locate_again(data);
  TrainingImages images = open_training_images(data, seed);
  check_same_images(about, kImagesRecord, json::parse(images.record), checkpoint);
  return images;
}

TrainingImages open_compression_images(const json& data, uint64_t seed, const Metadata& original,
                                       const std::string& model, Metadata& search, bool resumed,
                                       const std::string& checkpoint) {
  constexpr const char* kSearchedOn = "compressed_on";
  if (resumed) locate_again(data);
  const Opened opened = open_both(data);
  const json now = to_record(opened, {data.at("validation"), seed, data.at("limit")});
  if (resumed) {
    check_same_images(search, kSearchedOn, now, checkpoint);
  } else {
    search[kSearchedOn] = now.dump();
  }
  const json trained = record_in(original, kImagesRecord, model);
  const bool same = !trained.is_null() && difference(trained, now, "train").empty();
  if (!same) search.erase(kImagesRecord);  // from now on the weights have seen others, too
  const auto ours = [&] { return divide(opened, {data.at("validation"), seed, data.at("limit")}); };
  if (trained.is_null()) {
    note(
        "warning: {} does not say which images it was trained on (an older version wrote it); where it has seen the "
        "validation images, their accuracy is optimistic",
        model);
    return ours();
  }
  if (!same) {
    note(
        "warning: {} was trained on other images ({}); where it has seen the validation images, their accuracy is "
        "optimistic",
        model, difference(trained, now, "train"));
    return ours();
  }
  const Cut theirs = cut_of(trained, model);
  if (!(theirs.validation > 0)) {
    note(
        "warning: {} was trained on all of these images, the validation images, too: their accuracy is optimistic "
        "(train with --validation, and they are the ones that were held back)",
        model);
    return ours();
  }
  TrainingImages images = divide(opened, theirs);
  const int64_t limit = data.at("limit");
  images.train = take(images.train, limit);
  images.validation = take(images.validation, limit);
  images.test = take(opened.test, limit);
  note("validation: {} images that {} was not trained on, as its own training held them back",
       images.validation->size(), model);
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
