// The real sample sets, where they are at hand ($FASTDEEPIOT_DATA or ../shared/data); skipped elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "datasets/open.h"
#include "datasets/statistics.h"

namespace fdi::datasets {
namespace {

std::string sample_set(const std::string& name) {
  if (const char* root = std::getenv("FASTDEEPIOT_DATA"); root != nullptr && *root != '\0')
    return (std::filesystem::path(root) / name).string();
  const auto checkout = std::filesystem::path(FDI_SOURCE_DIR) / "../shared/data" / name;
  return std::filesystem::exists(checkout) ? checkout.string()
                                           : (std::filesystem::path("../shared/data") / name).string();
}

#define OPEN_OR_SKIP(name)                    \
  const std::string place = sample_set(name); \
  if (!std::filesystem::exists(place))        \
  GTEST_SKIP() << place << " is not there: set FASTDEEPIOT_DATA to the folder of the sample sets"

std::vector<int64_t> counts(const Dataset& data) {
  std::vector<int64_t> count(data.classes().size());
  for (int64_t i = 0; i < data.size(); ++i) ++count[data.label(i)];
  return count;
}

TEST(RealData, CifarJpegHasItsSixtyThousandImages) {
  OPEN_OR_SKIP("cifar10");
  const auto [train, test] = open_train_and_test(place);
  EXPECT_EQ(train->classes().size(), 10u);
  EXPECT_EQ(train->classes()[0], "airplane");
  EXPECT_EQ(train->image_shape(), (core::Shape{32, 32, 3}));
  EXPECT_THAT(counts(*train), ::testing::Each(5000));
  EXPECT_THAT(counts(*test), ::testing::Each(1000));
  EXPECT_THAT(train->source(), ::testing::StartsWith("CIFAR-10 (JPEG) train from "));
  const Normalization n = compute_normalization(*train);
  // The published statistics of the original pixels; JPEG moves them by less than 0.01.
  const float mean[] = {0.4914F, 0.4822F, 0.4465F}, deviation[] = {0.2470F, 0.2435F, 0.2616F};
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(n.mean[c], mean[c], 0.01F);
    EXPECT_NEAR(n.stddev[c], deviation[c], 0.01F);
  }
}

TEST(RealData, TinyImagenetWithGreyImages) {
  OPEN_OR_SKIP("tiny_imagenet");
  const auto [train, val] = open_train_and_test(place);
  EXPECT_EQ(train->classes().size(), 20u);
  EXPECT_EQ(train->image_shape(), (core::Shape{64, 64, 3}));
  EXPECT_THAT(counts(*train), ::testing::Each(500));
  EXPECT_THAT(counts(*val), ::testing::Each(50));
  int grey = 0;
  std::vector<uint8_t> pixels(64 * 64 * 3);
  for (int64_t i = 0; i < train->size(); ++i) {
    train->image(i, pixels);
    bool same = true;
    for (size_t p = 0; p < pixels.size() && same; p += 3)
      same = pixels[p] == pixels[p + 1] && pixels[p] == pixels[p + 2];
    grey += same;
  }
  EXPECT_GT(grey, 0);
  EXPECT_LT(grey, 1000);
}

TEST(RealData, ImagenetSampleIsFittedToOneSize) {
  OPEN_OR_SKIP("imagenet_sample");
  ImageOptions options;
  options.height = options.width = 224;
  const DatasetPtr decoded = open_dataset(place, Split::kTrain, options);
  EXPECT_EQ(decoded->size(), 30);
  EXPECT_EQ(decoded->image_shape(), (core::Shape{224, 224, 3}));
  EXPECT_THAT(counts(*decoded), ::testing::Each(5));
  options.memory_bytes = 1 << 20;  // too little: decode on demand, from inside the tar
  const DatasetPtr on_demand = open_dataset(place, Split::kTrain, options);
  EXPECT_THAT(on_demand->source(), ::testing::HasSubstr("on demand"));
  std::vector<uint8_t> a(224 * 224 * 3), b(a.size());
  for (int64_t i = 0; i < 30; ++i) {
    decoded->image(i, a);
    on_demand->image(i, b);
    EXPECT_EQ(a, b);
  }
}

}  // namespace
}  // namespace fdi::datasets
