// Finding data by name, detecting its format, class lists, the synthetic set, and what `data info` shows.
#include "datasets/open.h"

#include <unistd.h>

#include "datasets/cifar_binary.h"
#include "datasets/image_scan.h"
#include "datasets/statistics.h"
#include "datasets/synthetic.h"
#include "tests/datasets/files.h"

namespace fdi::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// The environment and the working directory belong to the process: each test sets its own and puts the old ones back.
class OpenTest : public DatasetFiles {
 protected:
  void SetUp() override {
    DatasetFiles::SetUp();
    for (const char* name : {"FASTDEEPIOT_DATA", "HOME"}) {
      const char* value = std::getenv(name);
      old_.emplace_back(name, value != nullptr ? value : "");
    }
    ::unsetenv("FASTDEEPIOT_DATA");
    ::setenv("HOME", path("home").c_str(), 1);
    working_ = fs::current_path();
    fs::create_directories(path("project"));
    fs::current_path(path("project"));
  }
  void TearDown() override {
    fs::current_path(working_);
    for (const auto& [name, value] : old_)
      if (value.empty())
        ::unsetenv(name);
      else
        ::setenv(name, value.c_str(), 1);
    DatasetFiles::TearDown();
  }
  void write_set(const std::string& at, const std::string& test_class = "a") const {
    const Bytes image = make_png(4, 4, ramp(4, 4, 3));
    write(at + "/train/a/1.png", image);
    write(at + "/train/b/1.png", image);
    write(at + "/test/" + test_class + "/1.png", image);
    write(at + "/test/b/1.png", image);
  }

 private:
  std::vector<std::pair<const char*, std::string>> old_;
  fs::path working_;
};

TEST_F(OpenTest, LocateSearchesInOrderAndTellsWhere) {
  const std::string missing = message_of([] { locate("cifar10"); });
  EXPECT_THAT(missing, AllOf(HasSubstr("data 'cifar10' not found"), HasSubstr("../shared/data/cifar10"),
                             HasSubstr("home/.cache/fastdeepiot/cifar10"), HasSubstr("data download cifar10")));
  write_set("home/.cache/fastdeepiot/cifar10");
  EXPECT_EQ(locate("cifar10").how, "~/.cache/fastdeepiot");
  write_set("shared/data/cifar10");
  EXPECT_EQ(locate("cifar10").how, "../shared/data");
  EXPECT_EQ(locate("cifar10").path, "../shared/data/cifar10");
  write_set("elsewhere/cifar10");
  ::setenv("FASTDEEPIOT_DATA", path("elsewhere").c_str(), 1);
  EXPECT_EQ(locate("cifar10").how, "$FASTDEEPIOT_DATA");
  EXPECT_EQ(locate("cifar10").path, path("elsewhere/cifar10"));
  ::setenv("FASTDEEPIOT_DATA", path("elsewhere/cifar10").c_str(), 1);  // the set itself
  EXPECT_EQ(locate("cifar10").path, path("elsewhere/cifar10"));
  write_set("project/cifar10");
  EXPECT_EQ(locate("cifar10").how, "--data");
  EXPECT_EQ(locate(path("elsewhere")).path, path("elsewhere/cifar10")) << "a root that holds the set";
  EXPECT_EQ(locate("synthetic:classes=3").how, "built in");
  EXPECT_THAT(message_of([] { locate("/no/such/place"); }), HasSubstr("looked for /no/such/place;"));
  EXPECT_THROW(locate(""), core::Error);
  fs::create_symlink("circle", path("project/circle"));
  EXPECT_THAT(message_of([] { locate("circle"); }), HasSubstr("circle: cannot look there: Too many levels"));
  EXPECT_THAT(message_of([] { locate(std::string(5000, 'x')); }), HasSubstr("File name too long"));
  EXPECT_THAT(message_of([] { open_dataset(std::string(5000, 'x'), Split::kTrain); }), HasSubstr("File name too long"));
}

TEST_F(OpenTest, FormatsAreDetected) {
  write_set("folders");
  EXPECT_EQ(open_dataset(path("folders"), Split::kTest)->size(), 2);
  const Bytes image = make_png(4, 4, ramp(4, 4, 3));
  const Bytes tar = make_tar({{"train/a/1.png", image}}, ARCHIVE_FILTER_XZ);
  write("tars/train.tar.xz", tar);
  EXPECT_EQ(open_dataset(path("tars"), Split::kTrain)->size(), 1);
  EXPECT_EQ(open_dataset(path("tars/train.tar.xz"), Split::kTrain)->size(), 1);
  write("cifar/cifar-10-batches-bin/test_batch.bin", make_cifar(10));
  EXPECT_THAT(open_dataset(path("cifar"), Split::kTest)->source(), HasSubstr("CIFAR-10 test from"));
  write("packed/cifar-10-binary.tar.gz", make_tar({{"d/test_batch.bin", make_cifar(10)}}, ARCHIVE_FILTER_GZIP));
  EXPECT_EQ(open_dataset(path("packed"), Split::kTest)->size(), 10);
  EXPECT_EQ(open_dataset(path("packed/cifar-10-binary.tar.gz"), Split::kTest)->size(), 10);
  ImageOptions large;
  large.height = large.width = 64;
  EXPECT_THAT(message_of([&] { open_dataset(path("packed"), Split::kTest, large); }), HasSubstr("are 32 x 32"));
}

TEST_F(OpenTest, AnArchiveIsKnownByWhatItHolds) {
  Files files;
  for (int b = 1; b <= 5; ++b) files.emplace_back("d/data_batch_" + std::to_string(b) + ".bin", make_cifar(10));
  files.emplace_back("d/test_batch.bin", make_cifar(10));
  write("cifar-10-binary (1).tar.gz", make_tar(files, ARCHIVE_FILTER_GZIP));
  write("cifar.tar", make_tar(files));
  for (const char* name : {"cifar-10-binary (1).tar.gz", "cifar.tar"}) {
    EXPECT_EQ(open_dataset(path(name), Split::kTrain)->size(), 50);
    EXPECT_THAT(open_dataset(path(name), Split::kTest)->source(), HasSubstr("CIFAR-10 test from"));
  }
}

// ILSVRC's and tiny-imagenet's own folders: the test images have no labels, those of val have.
TEST_F(OpenTest, ValIsTakenWhereTestHasNoClasses) {
  write_set("set");
  fs::rename(path("set/test"), path("set/val"));
  for (const char* file : {"set/test/1.png", "set/test/images/1.png"}) {
    write(file, make_png(4, 4, ramp(4, 4, 3)));
    EXPECT_THAT(open_dataset(path("set"), Split::kTest)->source(), HasSubstr("set/val")) << file;
    fs::remove_all(path("set/test"));
  }
  fs::create_directories(path("set/test"));
  EXPECT_THAT(open_dataset(path("set"), Split::kTest)->source(), HasSubstr("set/val")) << "an empty one";
  write("set/test/a/1.png", make_png(4, 4, ramp(4, 4, 3)));
  EXPECT_THAT(open_dataset(path("set"), Split::kTest)->source(), HasSubstr("set/test"));
  for (int i = 0; i < 8; ++i) fs::create_symlink("/nowhere", path("set/test/link" + std::to_string(i)));
  EXPECT_THAT(open_dataset(path("set"), Split::kTest)->source(), HasSubstr("set/test")) << "whatever comes first";
}

// val/ must not replace it silently: the scan then says why it cannot be read.
TEST_F(OpenTest, ATestFolderThatCannotBeReadCountsAsOneWithClasses) {
  EXPECT_TRUE(has_classes(path("missing")));
  fs::create_directories(path("empty"));
  EXPECT_FALSE(has_classes(path("empty")));
  if (::geteuid() == 0) GTEST_SKIP() << "root may read every folder";
  write_set("set");
  write("set/val/a/1.png", make_png(4, 4, ramp(4, 4, 3)));
  fs::permissions(path("set/test"), fs::perms::none);
  const std::string message = message_of([&] { open_dataset(path("set"), Split::kTest); });
  fs::permissions(path("set/test"), fs::perms::owner_all);
  EXPECT_THAT(message, AllOf(HasSubstr("set/test: cannot read the folder"), HasSubstr("Permission denied")));
}

TEST_F(OpenTest, WhatAFolderHoldsInsteadIsSaid) {
  const auto refusal = [&](const char* name) { return message_of([&] { open_dataset(path(name), Split::kTrain); }); };
  write("py/data_batch_1", {1});
  EXPECT_THAT(refusal("py"), AllOf(HasSubstr("the Python version of CIFAR-10"), HasSubstr("data download cifar10")));
  write("hundred/train.bin", Bytes(2 * 3074));
  EXPECT_THAT(refusal("hundred"), HasSubstr("this is CIFAR-100, which is not read"));
  write("named/train.bin", {1});
  EXPECT_THAT(refusal("named"), Not(HasSubstr("CIFAR-100"))) << "a name that many programs use";
  write("named/fine_label_names.txt", {1});
  EXPECT_THAT(refusal("named"), HasSubstr("this is CIFAR-100, which is not read"));
  write("tars/x.tar", {1});
  EXPECT_THAT(refusal("tars"), HasSubstr("it holds x.tar: give one with --data"));
  write("whole/train/cat/1.jpg", {1});
  EXPECT_THAT(refusal("whole/train"), HasSubstr("it is one split of a set: give " + path("whole")));
  write("classes/cat/1.jpg", {1});
  EXPECT_THAT(refusal("classes"), HasSubstr("its folders with images (cat) are no splits: put them into train/"));
  write_set("outer/inner");
  EXPECT_THAT(refusal("outer"), HasSubstr("outer/inner holds some: give that with --data"));
  for (int b = 1; b <= 5; ++b) write("renamed/data_batch_" + std::to_string(b) + ".bin", Bytes(2 * 3074));
  EXPECT_THAT(refusal("renamed"), HasSubstr("2 records of CIFAR-100"));
  write("bad\xE9/train/a/1.png", {1});
  EXPECT_THAT(message_of([&] { locate(path("bad\xE9")); }), AllOf(HasSubstr("bad\\xe9"), HasSubstr("no UTF-8")));
}

TEST_F(OpenTest, TheTestSplitMayLackClassesButHasNoOthers) {
  write_set("set");
  fs::remove_all(path("set/test/a"));
  const auto [train, test] = open_train_and_test(path("set"));
  EXPECT_EQ(test->classes(), train->classes());
  ASSERT_EQ(test->size(), 1);
  EXPECT_EQ(test->label(0), 1) << "by the training split's classes";
  EXPECT_THAT(test->warnings(), ElementsAre(AllOf(HasSubstr("no images of 1 of the 2 classes (a)"),
                                                  HasSubstr("accuracy is that of the others"))));
  write("set/test/c/1.png", make_png(4, 4, ramp(4, 4, 3)));
  EXPECT_THAT(message_of([&] { open_train_and_test(path("set")); }), HasSubstr("class 'c' is in"));
}

TEST_F(OpenTest, NamesThatLookEqualAreSaidToDiffer) {
  const auto refusal = [](const char* a, const char* b) {
    return message_of([&] { check_same_classes({a}, "x", {b}, "y"); });
  };
  EXPECT_THAT(refusal("Cat", "cat"), HasSubstr("differ in upper and lower case only"));
  EXPECT_THAT(refusal("caf\xC3\xA9", "cafe\xCC\x81"), HasSubstr("different Unicode forms (NFC and NFD"));
  EXPECT_THAT(refusal("e\xCC\x81t\xC3\xA9", "\xC3\xA9te\xCC\x81"), HasSubstr("different Unicode forms"));
  EXPECT_THAT(refusal("pe\xCC\x82"
                      "che",
                      "p\xC3\xA8"
                      "che"),
              HasSubstr("the two names may look equal"))
      << "the accents are not compared";
  for (const char* other : {"cafe", "caff\xC3\xA9", "cab\xC3\xA9", "dog"})
    EXPECT_THAT(refusal("cafe\xCC\x81", other), HasSubstr("both must have the same classes")) << other;
}

TEST_F(OpenTest, WhatIsMissingIsListed) {
  EXPECT_THAT(message_of([&] { open_dataset(path("none"), Split::kTrain); }),
              HasSubstr("none: no such file or folder"));
  fs::create_directories(path("empty"));
  EXPECT_THAT(message_of([&] { open_dataset(path("empty"), Split::kTest); }),
              AllOf(HasSubstr("empty: holds no test data"), HasSubstr("(test|val|valid|validation)/<class>/"),
                    HasSubstr("cifar-10-binary.tar.gz")));
}

TEST_F(OpenTest, FoldersNamedAlmostLikeSplits) {
  write("set/Training/cat/1.png", make_png(2, 2, Bytes(12, 1)));
  write("set/TEST/cat/1.png", make_png(2, 2, Bytes(12, 1)));
  EXPECT_THAT(message_of([&] { open_dataset(path("set"), Split::kTrain); }),
              HasSubstr("set: holds no train data; looked for "));
  EXPECT_THAT(message_of([&] { open_dataset(path("set"), Split::kTrain); }),
              HasSubstr("; rename TEST to test and Training to train"));
  fs::rename(path("set/Training"), path("set/train"));
  EXPECT_THAT(message_of([&] { open_dataset(path("set"), Split::kTest); }), HasSubstr("; rename TEST to test"));
  fs::rename(path("set/TEST"), path("set/valid"));
  EXPECT_EQ(open_dataset(path("set"), Split::kTest)->size(), 1);
}

TEST_F(OpenTest, TrainAndTestMustAgree) {
  write_set("good");
  EXPECT_EQ(open_train_and_test(path("good")).first->size(), 2);
  write_set("bad", "c");
  EXPECT_THAT(
      message_of([&] { open_train_and_test(path("bad")); }),
      AllOf(HasSubstr("class 'c' is in"), HasSubstr("bad/test"), HasSubstr("but not in"), HasSubstr("bad/train")));
  write("good/test/a/1.png", make_png(5, 5, ramp(5, 5, 3)));
  write("good/test/b/1.png", make_png(5, 5, ramp(5, 5, 3)));
  EXPECT_THAT(message_of([&] { open_train_and_test(path("good")); }),
              AllOf(HasSubstr("(5, 5, 3)"), HasSubstr("(4, 4, 3)"), HasSubstr("--image-size")));
  EXPECT_THAT(message_of([] { check_same_classes({"b", "a"}, "x", {"a", "b"}, "y"); }), HasSubstr("another order"));
}

TEST(Synthetic, IsRepeatableAndItsPartsDiffer) {
  const DatasetPtr a = open_dataset("synthetic:classes=3,height=8,width=12,train=30,test=9,seed=4", Split::kTrain);
  const DatasetPtr b = open_dataset("synthetic:classes=3,height=8,width=12,train=30,test=9,seed=4", Split::kTrain);
  const DatasetPtr test = open_dataset("synthetic:classes=3,height=8,width=12,train=30,test=9,seed=4", Split::kTest);
  const DatasetPtr other = open_dataset("synthetic:classes=3,height=8,width=12,train=30,test=9,seed=5", Split::kTrain);
  EXPECT_EQ(a->size(), 30);
  EXPECT_EQ(test->size(), 9);
  EXPECT_EQ(a->image_shape(), (core::Shape{8, 12, 3}));
  Bytes x(288), y(288);
  a->image(7, x);
  EXPECT_EQ(a->label(7), 1);
  b->image(7, y);
  EXPECT_EQ(x, y);
  test->image(7, y);
  EXPECT_NE(x, y);
  other->image(7, y);
  EXPECT_NE(x, y);
  for (const char* bad : {"synthetic:colour=3", "synthetic:classes=0", "synthetic:classes=x", "synthetic:noise=nan",
                          "synthetic:height=2000", "synthetic:train"})
    EXPECT_THAT(message_of([&] { open_dataset(bad, Split::kTrain); }), HasSubstr("synthetic: ")) << bad;
}

TEST(Synthetic, CanBeLearnt) {  // the nearest class mean of the training set names most test images
  SyntheticOptions o;
  o.height = o.width = 16;
  o.train = 500;
  o.test = 200;
  const DatasetPtr train = make_synthetic(o, Split::kTrain), test = make_synthetic(o, Split::kTest);
  std::vector<std::vector<double>> mean(10, std::vector<double>(768));
  Bytes x(768);
  for (int64_t i = 0; i < 500; ++i) {
    train->image(i, x);
    for (size_t p = 0; p < 768; ++p) mean[train->label(i)][p] += x[p] / 50.0;
  }
  int right = 0;
  for (int64_t i = 0; i < 200; ++i) {
    test->image(i, x);
    std::vector<double> distance(10);
    for (size_t c = 0; c < 10; ++c)
      for (size_t p = 0; p < 768; ++p) distance[c] += (x[p] - mean[c][p]) * (x[p] - mean[c][p]);
    right += std::min_element(distance.begin(), distance.end()) - distance.begin() == test->label(i);
  }
  EXPECT_GT(right, 180);
}

TEST(Statistics, MeanAndDeviationByHand) {
  // make_cifar: red = 10 * label (labels 0..9 equally often), green = index, blue constant.
  const Bytes data = make_tar({{"test_batch.bin", make_cifar(100)}});
  const DatasetPtr set = open_cifar_archive(data, "c.tar", Split::kTest);
  EXPECT_THAT(message_of([&] { compute_normalization(*set); }),
              AllOf(HasSubstr("channel 2 is the same in every pixel"), HasSubstr("c.tar")));
  Bytes noisy = make_cifar(100);
  for (int r = 0; r < 100; ++r) noisy[r * 3073 + 3072] = 7 + 2;  // one blue pixel of each
  const DatasetPtr good = open_cifar_archive(make_tar({{"test_batch.bin", noisy}}), "c.tar", Split::kTest);
  const Normalization n = compute_normalization(*good);
  EXPECT_FLOAT_EQ(n.mean[0], 45.0F / 255);
  EXPECT_FLOAT_EQ(n.stddev[0], static_cast<float>(std::sqrt(825.0) / 255));
  EXPECT_FLOAT_EQ(n.mean[1], 49.5F / 255);
  EXPECT_FLOAT_EQ(n.stddev[1], static_cast<float>(std::sqrt(833.25) / 255));
  EXPECT_NE(compute_normalization(*good, 7), n) << "of seven evenly spaced images";
}

TEST(Statistics, DescriptionCountsPerClass) {
  const DatasetPtr set = open_dataset("synthetic:classes=3,train=31,height=8,width=8", Split::kTrain);
  const Description d = describe(*set);
  EXPECT_EQ(d.examples, 31);
  EXPECT_EQ(d.bytes, 31 * 192);
  EXPECT_EQ(d.per_class[0], (std::pair<std::string, int64_t>{"pattern000", 11}));
  EXPECT_EQ(d.per_class[2].second, 10);
  EXPECT_THAT(to_text(d), AllOf(HasSubstr("31 images of (8, 8, 3), 3 classes"), HasSubstr("pattern001")));
}

}  // namespace
}  // namespace fdi::datasets
