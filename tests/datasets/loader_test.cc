// Loader: the same batches whatever the workers, restarts in the middle, errors in their place, shutdown at any time.
#include "datasets/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "core/error.h"
#include "datasets/subset.h"
#include "datasets/synthetic.h"

namespace fdi::datasets {
namespace {

// 4x4 images whose pixels all equal the index; image `broken` throws.
class Numbered : public Dataset {
 public:
  explicit Numbered(int64_t size, int64_t broken = -1) : size_(size), broken_(broken) {}
  int64_t size() const override { return size_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  core::Shape image_shape() const override { return {4, 4, 3}; }
  int label(int64_t index) const override { return static_cast<int>(index % 2); }
  void image(int64_t index, std::span<uint8_t> out) const override {
    ++reads_;
    if (index == broken_) core::fail("train/a/{}.jpg: damaged JPEG", index);
    std::fill(out.begin(), out.end(), static_cast<uint8_t>(index));
  }
  std::string source() const override { return "numbered"; }
  mutable std::atomic<int> reads_{0};

 private:
  int64_t size_, broken_;
  std::vector<std::string> classes_{"even", "odd"};
};

struct Copy {
  std::vector<float> images;
  std::vector<int> labels;
  bool operator==(const Copy&) const = default;
};

std::vector<Copy> rest_of_epoch(Loader& loader) {
  std::vector<Copy> batches;
  while (const Batch* b = loader.next()) {
    EXPECT_EQ(b->images.shape[0], b->size);
    const auto x = b->images.span();
    batches.push_back({{x.begin(), x.end()}, {b->labels.begin(), b->labels.end()}});
  }
  return batches;
}

LoaderOptions training_options() {
  LoaderOptions o;
  o.batch = 7;
  o.augment = {2, true};
  o.seed = 5;
  return o;
}

TEST(Loader, BatchesDoNotDependOnTheNumberOfWorkers) {
  SyntheticOptions s;
  s.height = s.width = 8;
  s.train = 100;
  const DatasetPtr data = make_synthetic(s, Split::kTrain);
  std::vector<std::vector<Copy>> seen;
  for (const int workers : {1, 2, 5}) {
    LoaderOptions o = training_options();
    o.workers = workers;
    o.queue = workers;
    Loader loader(data, {}, o);
    loader.start_epoch(3);
    seen.push_back(rest_of_epoch(loader));
  }
  ASSERT_EQ(seen[0].size(), 15u);
  EXPECT_EQ(seen[0].back().labels.size(), 2u);
  EXPECT_TRUE(seen[0] == seen[1]);
  EXPECT_TRUE(seen[0] == seen[2]);
}

TEST(Loader, AnEpochStartedInTheMiddleGoesOnAsTheFullOne) {
  SyntheticOptions s;
  s.height = s.width = 8;
  s.train = 50;
  Loader loader(make_synthetic(s, Split::kTrain), {}, training_options());
  loader.start_epoch(1);
  const auto other = rest_of_epoch(loader);
  loader.start_epoch(2);
  const auto full = rest_of_epoch(loader);
  EXPECT_FALSE(full == other) << "each epoch has its own order and augmentation";
  loader.start_epoch(7);
  ASSERT_NE(loader.next(), nullptr);  // left in the middle
  loader.start_epoch(2, 3);
  const auto rest = rest_of_epoch(loader);
  EXPECT_TRUE(rest == std::vector<Copy>(full.begin() + 3, full.end()));
}

TEST(Loader, EachExampleComesOnceAnEpoch) {
  LoaderOptions o;
  o.batch = 8;
  Normalization n;
  n.stddev = {1 / 255.0F, 1 / 255.0F, 1 / 255.0F};  // pixels come out as they are
  Loader loader(std::make_shared<Numbered>(30), n, o);
  for (const uint64_t epoch : {0, 1}) {
    loader.start_epoch(epoch);
    std::vector<int> seen;
    for (const Copy& b : rest_of_epoch(loader))
      for (size_t i = 0; i < b.labels.size(); ++i) {
        seen.push_back(static_cast<int>(b.images[i * 48] + 0.5F));
        EXPECT_EQ(b.labels[i], seen.back() % 2);
      }
    EXPECT_FALSE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(seen.size(), 30u);
    EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 30u);
  }
}

TEST(Loader, EvaluationKeepsOrderAndTheLastPartialBatch) {
  LoaderOptions o;
  o.batch = 4;
  o.shuffle = false;
  Normalization n;
  n.stddev = {1 / 255.0F, 1 / 255.0F, 1 / 255.0F};
  Loader loader(std::make_shared<Numbered>(10), n, o);
  EXPECT_EQ(loader.batches(), 3);
  EXPECT_EQ(loader.examples(), 10);
  loader.start_epoch(0);
  int expected = 0;
  for (const Copy& b : rest_of_epoch(loader))
    for (size_t i = 0; i < b.labels.size(); ++i) EXPECT_FLOAT_EQ(b.images[i * 48], static_cast<float>(expected++));
  EXPECT_EQ(expected, 10);
}

TEST(Loader, DropLastLeavesOutThePartialBatch) {
  LoaderOptions o;
  o.batch = 4;
  o.drop_last = true;
  Loader loader(std::make_shared<Numbered>(10), {}, o);
  EXPECT_EQ(loader.examples(), 8);
  loader.start_epoch(0);
  EXPECT_EQ(rest_of_epoch(loader).size(), 2u);
  o.batch = 11;
  EXPECT_THROW(Loader(std::make_shared<Numbered>(10), {}, o), core::Error);
}

TEST(Loader, AWorkersErrorArrivesInItsPlace) {
  LoaderOptions o;
  o.batch = 4;
  o.shuffle = false;
  o.workers = 3;
  Loader loader(std::make_shared<Numbered>(20, 9), {}, o);
  loader.start_epoch(0);
  EXPECT_NE(loader.next(), nullptr);
  EXPECT_NE(loader.next(), nullptr);
  try {
    loader.next();
    FAIL() << "image 9 is in the third batch";
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("train/a/9.jpg"));
  }
  EXPECT_NE(loader.next(), nullptr) << "the next batch is healthy";
}

TEST(Loader, EndsAtAnyTime) {
  for (int taken = 0; taken < 4; ++taken) {
    LoaderOptions o = training_options();
    o.workers = 2;
    Loader loader(std::make_shared<Numbered>(100), {}, o);
    if (taken > 0) loader.start_epoch(0);
    for (int i = 1; i < taken; ++i) loader.next();
  }
  LoaderOptions o = training_options();
  Loader idle(std::make_shared<Numbered>(100), {}, o);
  EXPECT_EQ(idle.next(), nullptr) << "before the first epoch";
}

TEST(Loader, MakesNoMoreBatchesAheadThanItsQueue) {
  const auto data = std::make_shared<Numbered>(1000);
  LoaderOptions o;
  o.batch = 1;
  o.queue = 3;
  Loader loader(data, {}, o);
  loader.start_epoch(0);
  for (int i = 0; i < 10; ++i) loader.next();
  EXPECT_LE(data->reads_, 10 + 3);
}

TEST(Loader, RefusesBadOptions) {
  const auto data = std::make_shared<Numbered>(10);
  for (auto change : std::vector<void (*)(LoaderOptions&)>{
           [](LoaderOptions& o) { o.batch = 0; }, [](LoaderOptions& o) { o.workers = 0; },
           [](LoaderOptions& o) { o.queue = 0; }, [](LoaderOptions& o) { o.augment.pad_crop = 4; },
           [](LoaderOptions& o) { o.augment.pad_crop = -1; }}) {
    LoaderOptions o;
    change(o);
    EXPECT_THROW(Loader(data, {}, o), core::Error);
  }
  EXPECT_THROW(Loader(std::make_shared<Numbered>(0), {}, {}), core::Error);
  Loader loader(data, {}, {});
  EXPECT_THROW(loader.start_epoch(0, 2), core::Error);
}

TEST(Augmenter, CropsFlipsAndNormalises) {
  const core::Shape shape{3, 4, 3};
  Normalization n;
  n.mean = {0.5F, 0.25F, 0};
  n.stddev = {0.5F, 1, 2};
  std::vector<uint8_t> pixels(36);
  for (size_t i = 0; i < 36; ++i) pixels[i] = static_cast<uint8_t>(i + 1);
  const auto value = [&](int y, int x, int c) {  // black outside
    const bool inside = y >= 0 && y < 3 && x >= 0 && x < 4;
    const float p = inside ? static_cast<float>(pixels[(y * 4 + x) * 3 + c]) / 255 : 0;
    return (p - n.mean[c]) / n.stddev[c];
  };
  Augmenter augmenter(shape, n, {1, true});
  std::vector<float> out(36);
  std::set<std::tuple<int, int, bool>> forms;
  for (int draw = 0; draw < 300; ++draw) {
    augmenter.apply(pixels, core::Rng(1, core::Stream::kTest, draw), out.data());
    int matches = 0;
    for (int dy = -1; dy <= 1; ++dy)
      for (int dx = -1; dx <= 1; ++dx)
        for (const bool mirror : {false, true}) {
          bool same = true;
          for (int y = 0; y < 3; ++y)
            for (int x = 0; x < 4; ++x)
              for (int c = 0; c < 3; ++c)
                same = same && std::abs(out[(y * 4 + x) * 3 + c] - value(y + dy, (mirror ? 3 - x : x) + dx, c)) < 1e-6F;
          if (same) ++matches, forms.emplace(dy, dx, mirror);
        }
    ASSERT_EQ(matches, 1);
  }
  EXPECT_EQ(forms.size(), 18u) << "all nine shifts, mirrored and not";
}

TEST(Subset, ValidationIsStratifiedAndDisjoint) {
  SyntheticOptions s;
  s.classes = 4;
  s.train = 200;
  s.height = s.width = 4;
  const DatasetPtr all = make_synthetic(s, Split::kTrain);
  const auto [train, validation] = split_validation(all, 0.1, 3);
  EXPECT_EQ(train->size(), 180);
  EXPECT_EQ(validation->size(), 20);
  std::vector<int> count(4);
  for (int64_t i = 0; i < validation->size(); ++i) ++count[validation->label(i)];
  EXPECT_THAT(count, ::testing::Each(5));
  std::set<std::vector<uint8_t>> seen;  // noise makes every image unique
  for (const DatasetPtr& part : {train, validation})
    for (int64_t i = 0; i < part->size(); ++i) {
      std::vector<uint8_t> pixels(48);
      part->image(i, pixels);
      seen.insert(pixels);
    }
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_THROW(split_validation(all, 0, 1), core::Error);
  EXPECT_THROW(split_validation(all, 0.001, 1), core::Error);
  EXPECT_THROW(make_subset(all, {200}, "one"), core::Error);
}

}  // namespace
}  // namespace fdi::datasets
