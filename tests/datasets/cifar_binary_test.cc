// CIFAR-10's binary files, in a folder and in an archive.
#include "datasets/cifar_binary.h"

#include "tests/datasets/files.h"

namespace fdi::datasets {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Files small_cifar() {
  Files files;
  for (int b = 1; b <= 5; ++b)
    files.emplace_back("cifar-10-batches-bin/data_batch_" + std::to_string(b) + ".bin", make_cifar(20, 20 * (b - 1)));
  files.emplace_back("cifar-10-batches-bin/test_batch.bin", make_cifar(10, 200));
  return files;
}

class CifarBinaryTest : public DatasetFiles {
 protected:
  std::string folder() const { return path("cifar-10-batches-bin"); }
  void write_all(const Files& files) const {
    for (const auto& [name, bytes] : files) write(name, bytes);
  }
};

void expect_small_cifar(const Dataset& train) {
  ASSERT_EQ(train.size(), 100);
  EXPECT_EQ(train.classes()[3], "cat");
  Bytes pixels(3072);
  for (int i = 0; i < 100; ++i) {
    train.image(i, pixels);
    EXPECT_EQ(train.label(i), i % 10);
    EXPECT_EQ(pixels[0], 10 * (i % 10));
    EXPECT_EQ(pixels[1], i);
    EXPECT_EQ(pixels[3071], 7);
  }
}

TEST_F(CifarBinaryTest, FolderAndArchiveAreTheSameSet) {
  write_all(small_cifar());
  expect_small_cifar(*open_cifar_folder(folder(), Split::kTrain));
  EXPECT_EQ(open_cifar_folder(folder(), Split::kTest)->size(), 10);
  EXPECT_THAT(open_cifar_folder(folder(), Split::kTest)->source(), HasSubstr("CIFAR-10 test from "));
  Files files = small_cifar();
  std::swap(files[0], files[4]);  // the order in the archive does not matter
  const std::string tar = write("cifar-10-binary.tar.gz", make_tar(files, ARCHIVE_FILTER_GZIP));
  expect_small_cifar(*open_cifar_archive(tar, Split::kTrain));
}

TEST_F(CifarBinaryTest, ClassNamesComeFromTheSet) {
  Files files = small_cifar();
  const std::string names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
  files.emplace_back("cifar-10-batches-bin/batches.meta.txt", Bytes(names.begin(), names.end()));
  write_all(files);
  EXPECT_EQ(open_cifar_folder(folder(), Split::kTest)->classes()[9], "j");
  EXPECT_EQ(open_cifar_archive(make_tar(files), "x.tar", Split::kTest)->classes()[0], "a");
  write("cifar-10-batches-bin/batches.meta.txt", {'o', 'n', 'e'});
  EXPECT_THAT(message_of([&] { open_cifar_folder(folder(), Split::kTest); }),
              AllOf(HasSubstr("batches.meta.txt: lists 1 classes"), HasSubstr("fetch the file again")));
}

TEST_F(CifarBinaryTest, DamageIsNamedByFileAndRecord) {
  Files files = small_cifar();
  files[2].second.resize(files[2].second.size() - 100);
  files[5].second[4 * 3073] = 10;
  write_all(files);
  EXPECT_THAT(message_of([&] { open_cifar_folder(folder(), Split::kTrain); }),
              AllOf(HasSubstr("data_batch_3.bin: has 61360 bytes"), HasSubstr("no multiple of 3073"),
                    HasSubstr("record 19 is cut off"), HasSubstr("fetch the file again")));
  EXPECT_THAT(message_of([&] { open_cifar_folder(folder(), Split::kTest); }),
              AllOf(HasSubstr("test_batch.bin: record 4 (byte 12292) has label 10"), HasSubstr("wanted 0 to 9")));
  EXPECT_THAT(message_of([&] { open_cifar_archive(make_tar(files), "c.tar", Split::kTest); }),
              HasSubstr("c.tar: test_batch.bin: record 4"));
}

TEST_F(CifarBinaryTest, MissingFilesAreNamed) {
  Files files = small_cifar();
  files.erase(files.begin() + 3);
  write_all(files);
  EXPECT_THAT(message_of([&] { open_cifar_folder(folder(), Split::kTrain); }),
              AllOf(HasSubstr("data_batch_4.bin: cannot read"), HasSubstr("check the path")));
  EXPECT_THAT(message_of([&] { open_cifar_archive(make_tar(files), "c.tar", Split::kTrain); }),
              AllOf(HasSubstr("c.tar: holds no data_batch_4.bin"), HasSubstr("binary version")));
  write("cifar-10-batches-bin/test_batch.bin", {});
  EXPECT_THAT(message_of([&] { open_cifar_folder(folder(), Split::kTest); }), HasSubstr("has 0 bytes"));
}

}  // namespace
}  // namespace fdi::datasets
