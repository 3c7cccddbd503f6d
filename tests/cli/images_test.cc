// What a run remembers of its images: the same ones are known again, others refused; and a compression is judged by
// what its original was not trained on.
#include "cli/images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/message_of.h"

namespace fdi::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

json data(double validation, const std::string& more = "", int64_t limit = 0) {
  return {{"name", "synthetic:classes=4,height=8,width=8,train=80,test=20" + more},
          {"image_size", 0},
          {"limit", limit},
          {"validation", validation},
          {"augment", false}};
}

std::vector<std::vector<uint8_t>> pixels(const datasets::Dataset& images) {
  std::vector<std::vector<uint8_t>> all;
  for (int64_t i = 0; i < images.size(); ++i)
    images.image(i, all.emplace_back(static_cast<size_t>(images.image_shape().size())));
  return all;
}

// What is said while `f` runs.
template <class F>
std::string said(const F& f) {
  ::testing::internal::CaptureStderr();
  f();
  return ::testing::internal::GetCapturedStderr();
}

// A compression of a model whose metadata is `original`.
struct Compression {
  TrainingImages images;
  Metadata search;
  std::string text;
};
Compression compress(const json& images, uint64_t seed, const Metadata& original) {
  Compression c;
  c.search = original;
  c.text = said([&] { c.images = open_compression_images(images, seed, original, "m", c.search, false, "s"); });
  return c;
}

TEST(Images, ACompressionIsJudgedByWhatItsOriginalHasNotSeen) {
  const TrainingImages original = open_training_images(data(0.1), 1);
  const Metadata about{{kImagesRecord, original.record}};
  const Compression c = compress(data(0.3), 77, about);  // another part and seed
  EXPECT_EQ(pixels(*c.images.validation), pixels(*original.validation));
  EXPECT_EQ(pixels(*c.images.train), pixels(*original.train));
  EXPECT_THAT(c.text, AllOf(HasSubstr("validation: 8 images that m was not trained on"), Not(HasSubstr("warning"))));
  EXPECT_EQ(c.search.at(kImagesRecord), original.record) << "the compressed model has not seen them, either";

  const Compression other_test = compress(data(0.3, ",test=24"), 77, about);
  EXPECT_EQ(pixels(*other_test.images.validation), pixels(*original.validation));
  EXPECT_EQ(other_test.images.test->size(), 24);

  const Compression few = compress(data(0.3, "", 20), 77, about);
  EXPECT_EQ(few.images.train->size(), 20);
  EXPECT_EQ(few.images.validation->size(), 8);
  EXPECT_EQ(few.images.test->size(), 20);

  const TrainingImages limited = open_training_images(data(0.25, "", 40), 5);
  const Compression of_limited = compress(data(0.3), 77, {{kImagesRecord, limited.record}});
  EXPECT_EQ(pixels(*of_limited.images.validation), pixels(*limited.validation));
}

TEST(Images, ValidationThatTheOriginalHasSeenIsToldAsOptimistic) {
  const TrainingImages all = open_training_images(data(0), 1);
  EXPECT_EQ(all.validation, nullptr);
  const Compression seen = compress(data(0.1), 1, {{kImagesRecord, all.record}});
  EXPECT_EQ(seen.images.validation->size(), 8);
  EXPECT_THAT(seen.text, HasSubstr("warning: m was trained on all of these images, the validation images, too: their "
                                   "accuracy is optimistic"));
  const Compression unknown = compress(data(0.1), 1, {});
  EXPECT_THAT(unknown.text, HasSubstr("warning: m does not say which images it was trained on"));
  EXPECT_FALSE(unknown.search.contains(kImagesRecord));
  const Compression other = compress(data(0.1, ",seed=9"), 1, {{kImagesRecord, all.record}});
  EXPECT_THAT(other.text, HasSubstr("warning: m was trained on other images (train: 80 images of the same names as "
                                    "before, but of other contents"));
  EXPECT_FALSE(other.search.contains(kImagesRecord)) << "what the compressed model has seen is not known";
}

TEST(Images, ARunGoesOnWithTheSameImagesOnly) {
  const Metadata about{{kImagesRecord, open_training_images(data(0.1), 1).record}};
  const auto again = [&](const json& now) {
    std::string message;
    said([&] { message = message_of([&] { reopen_training_images(now, 1, about, "run/c"); }); });
    return message;
  };
  EXPECT_EQ(again(data(0.1)), "");
  EXPECT_EQ(again(data(0.1, ",noise=0.3")), "") << "another name of the same images";
  EXPECT_THAT(again(data(0.1, ",train=84")),
              AllOf(HasSubstr("run/c: cannot resume: the images have changed: train: had 80 images, now 84"),
                    HasSubstr("start a new run in another folder")));
  EXPECT_THAT(again(data(0.1, ",test=24")), HasSubstr("test: had 20 images, now 24"));
  EXPECT_THAT(said([&] { reopen_training_images(data(0.1, ",seed=2"), 1, about, "run/c"); }),
              HasSubstr("warning: run/c: train: 80 images of the same names as before, but of other contents"));
  json gone = data(0.1);
  gone["name"] = "setA";
  EXPECT_THAT(again(gone), AllOf(HasSubstr("data 'setA' not found"), HasSubstr("relative to another folder"),
                                 HasSubstr("add --data PATH to --resume")));
  EXPECT_THAT(said([] { reopen_training_images(data(0.1), 1, {}, "run/c"); }),
              HasSubstr("warning: run/c does not say which images the run began with"));
  EXPECT_THAT(message_of([] {
                reopen_training_images(data(0.1), 1, {{kImagesRecord, "{}"}}, "run/c");
              }),
              HasSubstr("the file is damaged"));
}

TEST(Images, AResumedCompressionKnowsItsImagesAgain) {
  Compression c = compress(data(0.1), 1, {});
  const auto again = [&](const json& now) {
    std::string message;
    said([&] { message = message_of([&] { open_compression_images(now, 1, {}, "m", c.search, true, "run/s"); }); });
    return message;
  };
  EXPECT_EQ(again(data(0.1)), "");
  EXPECT_THAT(again(data(0.1, ",train=84")), HasSubstr("run/s: cannot resume: the images have changed: train: had 80"));
  EXPECT_THAT(said([] {
                Metadata older;
                open_compression_images(data(0.1), 1, {}, "m", older, true, "run/s");
              }),
              HasSubstr("warning: run/s does not say which images the run began with"));
}

TEST(Images, ASizeBeyondReasonIsRefused) {
  EXPECT_EQ(image_options(8192).height, 8192);
  for (const int size : {-1, 8193, 100000})
    EXPECT_THAT(message_of([&] { image_options(size); }), HasSubstr("wanted 0 (as they are) to 8192")) << size;
}

}  // namespace
}  // namespace fdi::cli
