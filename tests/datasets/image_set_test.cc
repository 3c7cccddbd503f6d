// Image folders and archives: labels, ignored files, mixed sizes, reading on demand, and every kind of damage.
#include "datasets/image_set.h"

#include <cstring>

#include "datasets/archive.h"
#include "datasets/digest.h"
#include "datasets/statistics.h"
#include "tests/datasets/files.h"

namespace fdi::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Grey 6x6 PNGs: exact pixels. Class b holds 30, 31, class a holds 10.
Bytes flat(int value) { return make_png(6, 6, Bytes(36, static_cast<uint8_t>(value)), PNG_COLOR_TYPE_GRAY); }
Files three_images(const std::string& prefix = "train/") {
  return {{prefix + "b/2.png", flat(31)}, {prefix + "b/1.PNG", flat(30)}, {prefix + "a/1.png", flat(10)}};
}

class ImageSetTest : public DatasetFiles {
 protected:
  void write_all(const Files& files) const {
    for (const auto& [name, bytes] : files) write(name, bytes);
  }
};

void expect_three(const Dataset& data) {
  EXPECT_THAT(data.classes(), ElementsAre("a", "b"));
  EXPECT_THAT(values(data), ElementsAre(10, 30, 31));
  EXPECT_EQ(data.label(0), 0);
  EXPECT_EQ(data.label(2), 1);
  EXPECT_EQ(data.image_shape(), (core::Shape{6, 6, 3}));
}

TEST_F(ImageSetTest, FolderTarAndCompressedTarsAreTheSameSet) {
  write_all(three_images());
  expect_three(*open_image_folder(path("train"), Split::kTrain, {}));
  ImageOptions on_demand;
  on_demand.memory_bytes = 300;  // the encoded images fit, the decoded ones do not
  expect_three(*open_image_folder(path("train"), Split::kTrain, on_demand));
  for (const int filter : {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ}) {
    const std::string tar = write("sets.tar", make_tar(three_images("./deep/train/"), filter));
    expect_three(*open_image_archive(tar, Split::kTrain, {}));
    expect_three(*open_image_archive(tar, Split::kTrain, on_demand));
    expect_three(*open_image_archive(read_bytes(tar), "memory", Split::kTrain, {}));
  }
  expect_three(*open_image_archive(write("train.tar", make_tar(three_images(""))), Split::kTrain, {}));
}

TEST_F(ImageSetTest, ValServesAsTestSplit) {
  Files files = three_images("val/");
  files.emplace_back("train/zebra/1.png", flat(1));
  expect_three(*open_image_archive(make_tar(files), "memory", Split::kTest, {}));
}

TEST_F(ImageSetTest, OtherFilesAreIgnoredAndCounted) {
  Files files = three_images();
  files.emplace_back("train/a/notes.txt", Bytes{'x'});
  files.emplace_back("train/b/.hidden.jpg", Bytes{'x'});
  write_all(files);
  for (const DatasetPtr& data : {open_image_folder(path("train"), Split::kTrain, {}),
                                 open_image_archive(make_tar(files), "memory", Split::kTrain, {})}) {
    expect_three(*data);
    ASSERT_EQ(data->warnings().size(), 1u);
    EXPECT_THAT(data->warnings()[0], HasSubstr("2 files are no .jpg, .jpeg or .png and ignored"));
  }
}

TEST_F(ImageSetTest, MixedSizesNeedAWantedSize) {
  Files files = three_images();
  files.emplace_back("train/b/wide.jpg", make_jpeg(40, 90, ramp(40, 90, 3)));
  write_all(files);
  const auto open = [&](const ImageOptions& o) { return open_image_folder(path("train"), Split::kTrain, o); };
  EXPECT_THAT(message_of([&] { open({}); }), AllOf(HasSubstr("b/wide.jpg: is 90 x 40 pixels"),
                                                   HasSubstr("a/1.png is 6 x 6"), HasSubstr("--image-size")));
  ImageOptions options;
  options.height = 12, options.width = 10;
  const DatasetPtr data = open(options);
  EXPECT_EQ(data->image_shape(), (core::Shape{12, 10, 3}));
  EXPECT_EQ(values(*data)[0], 10);
  options.width = 0;
  EXPECT_THROW(open(options), core::Error);
}

TEST_F(ImageSetTest, ADamagedImageIsNamed) {
  Files files = three_images();
  files[0].second.resize(50);
  write_all(files);
  EXPECT_THAT(message_of([&] { open_image_folder(path("train"), Split::kTrain, {}); }),
              AllOf(HasSubstr("train/b/2.png: damaged PNG"), HasSubstr("fetch it again or remove it")));
  EXPECT_THAT(message_of([&] { open_image_archive(make_tar(files), "set.tar", Split::kTrain, {}); }),
              HasSubstr("set.tar: train/b/2.png: damaged PNG"));
  ImageOptions on_demand;
  on_demand.memory_bytes = 300;
  const DatasetPtr data =
      open_image_folder(path("train"), Split::kTrain, on_demand);  // the damage shows when asked for
  Bytes pixels(108);
  data->image(0, pixels);
  EXPECT_THAT(message_of([&] { data->image(2, pixels); }), HasSubstr("train/b/2.png: damaged PNG"));
  fs::remove(path("train/b/1.PNG"));
  EXPECT_THAT(message_of([&] { data->image(1, pixels); }), HasSubstr("b/1.PNG: cannot read"));
}

TEST_F(ImageSetTest, EmptyFoldersAreErrors) {
  write_all(three_images());
  fs::create_directories(path("train/empty"));
  EXPECT_THAT(
      message_of([&] { open_image_folder(path("train"), Split::kTrain, {}); }),
      AllOf(HasSubstr(path("train")), HasSubstr("class folder 'empty' holds no images"), HasSubstr("remove it")));
  fs::create_directories(path("nothing"));
  EXPECT_THAT(message_of([&] { open_image_folder(path("nothing"), Split::kTrain, {}); }),
              AllOf(HasSubstr("holds no images"), HasSubstr("wanted train/<class>/*.jpg")));
  EXPECT_THAT(message_of([&] { open_image_folder(path("missing"), Split::kTrain, {}); }),
              HasSubstr("missing: cannot read the folder: No such file"));
  EXPECT_THAT(message_of([&] { open_image_archive(make_tar(three_images()), "set.tar", Split::kTest, {}); }),
              AllOf(HasSubstr("set.tar: holds no images"), HasSubstr("test|val|valid|validation")));
}

// Each member takes two blocks. What ends between two members lacks its end mark only: it is read, with a warning.
TEST_F(ImageSetTest, ATarCutInsideAMemberIsAnError) {
  const Bytes tar = make_tar(three_images());
  for (size_t n = 0; n < 3 * 1024; n += 256) {
    DatasetPtr data;
    const std::string message = message_of([&] {
      data = open_image_archive({tar.data(), n}, "set.tar", Split::kTrain, {});
    });
    if (n == 0 || n % 1024 != 0) {
      ASSERT_THAT(message, HasSubstr("set.tar")) << "cut at " << n;
      continue;
    }
    ASSERT_EQ(message, "") << "cut at " << n;
    EXPECT_EQ(data->size(), static_cast<int64_t>(n / 1024));
    EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr("set.tar: its end mark is missing")));
  }
  EXPECT_THAT(message_of([&] { open_image_archive(Bytes{}, "set.tar", Split::kTrain, {}); }),
              HasSubstr("set.tar: is empty (0 bytes)"));
  const DatasetPtr whole = open_image_archive(tar, "set.tar", Split::kTrain, {});
  EXPECT_THAT(whole->warnings(), ::testing::IsEmpty());
  expect_three(*open_image_archive({tar.data(), 3 * 1024}, "set.tar", Split::kTrain, {}));
  expect_three(*open_image_archive({tar.data(), 3 * 1024 + 512}, "set.tar", Split::kTrain, {}));  // half an end mark
}

TEST_F(ImageSetTest, CompressedTarsCutOrFlippedAnywhereAreErrors) {
  for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ}) {
    const Bytes tar = make_tar(three_images(), filter);
    // Opens the set, or returns the message.
    const auto open = [&](const Bytes& bytes) {
      return message_of([&] { expect_three(*open_image_archive(bytes, "set.tar.z", Split::kTrain, {})); });
    };
    EXPECT_EQ(open(tar), "");
    for (size_t n = 0; n < tar.size(); n += 5)
      ASSERT_THAT(open({tar.begin(), tar.begin() + static_cast<long>(n)}), HasSubstr("set.tar.z"))
          << "filter " << filter << " cut at " << n << " of " << tar.size();
    // gzip's header holds a time and an operating system, which no checksum covers; and a flip may point the packer at
    // other zeros. What opens is the same set, as open() checks.
    size_t refused = 0;
    for (size_t at = 10; at < tar.size(); ++at) {
      Bytes bad = tar;
      bad[at] ^= 0x20;
      const std::string message = open(bad);
      refused += message.find("set.tar.z") != std::string::npos;
      if (filter == ARCHIVE_FILTER_XZ) {
        ASSERT_NE(message, "") << "byte " << at << " of " << tar.size();
      }
    }
    EXPECT_GT(refused, (tar.size() - 10) * 9 / 10);
    EXPECT_THAT(open({tar.begin(), tar.end() - 20}), AllOf(HasSubstr("damaged"), HasSubstr("fetch the file again")));
  }
}

// A tar header by hand, with a correct sum.
Bytes tar_member(const std::string& name, const std::string& octal_size, char type = '0') {
  Bytes header(512);
  std::memcpy(header.data(), name.data(), name.size());
  std::memcpy(&header[100], "0000644", 7);
  std::memcpy(&header[124], octal_size.data(), octal_size.size());
  std::memset(&header[148], ' ', 8);
  header[156] = static_cast<uint8_t>(type);
  std::memcpy(&header[257], "ustar\00000", 8);
  unsigned sum = 0;
  for (const uint8_t b : header) sum += b;
  std::snprintf(reinterpret_cast<char*>(&header[148]), 8, "%06o", sum);
  return header;
}

TEST_F(ImageSetTest, AbsurdSizesAndBadPathsAreNamed) {
  const auto open = [&](Bytes tar) {
    tar.resize(tar.size() + 1024);
    return message_of([&] { open_image_archive(tar, "set.tar", Split::kTrain, {}); });
  };
  EXPECT_THAT(open(tar_member("train/a/1.jpg", "77777777777")),
              AllOf(HasSubstr("set.tar: member 'train/a/1.jpg' claims 8589934591 bytes"), HasSubstr("at most 64 MiB")));
  EXPECT_THAT(open(tar_member("train/a/../../etc/passwd", "00000000000")),
              AllOf(HasSubstr("set.tar: member 1"), HasSubstr("bad path"), HasSubstr("'..'")));
  EXPECT_THAT(open(tar_member("/train/a/1.jpg", "00000000000")), HasSubstr("bad path '/train/a/1.jpg'"));
  EXPECT_THAT(open(tar_member("train/a\x1b[2J/1.jpg", "00000000000")), HasSubstr("control characters"));
  EXPECT_THAT(open(tar_member("train/a/1.jpg", "00000000000", '2')), HasSubstr("holds no images"));  // a link
}

TEST_F(ImageSetTest, ArchiveBombsHitTheLimit) {
  Files files = three_images();
  for (int i = 0; i < 20; ++i) files.emplace_back("zeros" + std::to_string(i), Bytes(1 << 20));
  for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ}) {
    const Bytes tar = make_tar(files, filter);
    ASSERT_LT(tar.size(), 1u << 18);
    ArchiveLimits limits;
    limits.total_bytes = 5 << 20;
    EXPECT_THAT(
        message_of([&] { for_each_member(Source(tar, "bomb.tar.z"), limits, [](const Member&) {}); }),
        AllOf(HasSubstr("bomb.tar.z: unpacks to more than 5 MiB"), HasSubstr("bomb"), HasSubstr("to a folder")));
  }
  ImageOptions small;
  small.memory_bytes = 100;
  EXPECT_THAT(message_of([&] {
                open_image_archive(make_tar(three_images(), ARCHIVE_FILTER_XZ), "set.tar.xz", Split::kTrain, small);
              }),
              AllOf(HasSubstr("too many to keep"), HasSubstr("unpack it")));
}

TEST_F(ImageSetTest, FoldersThatAreNoClassesAreTold) {
  write_all(three_images());
  write("train/.ipynb_checkpoints/1-checkpoint.png", flat(1));
  fs::create_directories(path("train/__MACOSX"));
  write("train/a/sub/2.png", flat(2));
  write("train/a/.git/x", {'x'});
  fs::create_symlink("/nowhere/1.jpg", path("train/a/annex.jpg"));
  fs::create_symlink("/nowhere", path("train/c"));
  write("train/loose.png", flat(3));
  const DatasetPtr data = open_image_folder(path("train"), Split::kTrain, {});
  expect_three(*data);
  EXPECT_THAT(
      data->warnings(),
      ::testing::UnorderedElementsAre(
          HasSubstr("1 image is in no class folder: put it into a folder named after its class (first: loose.png)"),
          HasSubstr("1 folder inside a class folder is not looked into (first: a/sub)"),
          HasSubstr("3 entries of hidden folders (.name, __MACOSX) are no classes and skipped"),
          AllOf(HasSubstr("2 links lead nowhere"), HasSubstr("not fetched"))));
}

TEST_F(ImageSetTest, LinkedClassFoldersAndFilesAreRead) {
  write_all(three_images("store/"));
  fs::create_directories(path("train/b"));
  fs::create_directory_symlink(path("store/a"), path("train/a"));
  fs::create_symlink(path("store/b/1.PNG"), path("train/b/1.png"));
  fs::create_symlink("../../store/b/2.png", path("train/b/2.png"));
  const DatasetPtr data = open_image_folder(path("train"), Split::kTrain, {});
  expect_three(*data);
  EXPECT_THAT(data->warnings(), ::testing::IsEmpty());
}

TEST_F(ImageSetTest, ImagesWithoutClassFoldersAreCounted) {
  write("val/1.png", flat(1));
  write("val/2.png", flat(2));
  EXPECT_THAT(message_of([&] { open_image_folder(path("val"), Split::kTest, {}); }),
              AllOf(HasSubstr("holds no images; wanted test|val|valid|validation/<class>/*.jpg"),
                    HasSubstr("2 images are in no class folder: put each into a folder named after its class")));
  write("one/images/1.png", flat(1));
  EXPECT_THAT(message_of([&] { open_image_folder(path("one"), Split::kTrain, {}); }),
              HasSubstr("1 image is in no class folder"));
  write("deep/a/x/1.png", flat(1));
  EXPECT_THAT(message_of([&] { open_image_folder(path("deep"), Split::kTrain, {}); }),
              HasSubstr("1 folder inside a class folder is not looked into (first: a/x)"));
}

TEST_F(ImageSetTest, AnEmptyClassOfTheTestSplitIsAWarning) {
  write_all(three_images("test/"));
  fs::create_directories(path("test/empty"));
  const DatasetPtr data = open_image_folder(path("test"), Split::kTest, {});
  expect_three(*data);
  EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr("class folder 'empty' holds no images")));
}

TEST_F(ImageSetTest, TinyImagenetsOwnLayout) {
  write("train/a/images/a_0.png", flat(10));
  write("train/a/a_boxes.txt", {'x'});
  write("train/b/images/b_0.png", flat(30));
  write("train/b/images/b_1.png", flat(31));
  expect_three(*open_image_folder(path("train"), Split::kTrain, {}));
  for (int i = 0; i < 3; ++i) write("val/images/" + std::to_string(i) + ".png", flat(10 + i));
  const std::string list = "2.png\ta\t0\n0.png\tb\t0\n1.png\tb\t0\n";
  write("val/val_annotations.txt", Bytes(list.begin(), list.end()));
  const DatasetPtr val = open_image_folder(path("val"), Split::kTest, {});
  EXPECT_THAT(val->classes(), ElementsAre("a", "b"));
  EXPECT_THAT(values(*val), ElementsAre(12, 10, 11));
  EXPECT_THAT(val->warnings(), ::testing::IsEmpty());
}

TEST_F(ImageSetTest, AClassNameIsUtf8) {
  write("train/cat/1.png", flat(1));
  write("train/caf\xE9/1.png", flat(2));
  EXPECT_THAT(message_of([&] { open_image_folder(path("train"), Split::kTrain, {}); }),
              AllOf(HasSubstr("class folder 'caf\\xe9' is no UTF-8"), HasSubstr("rename it")));
}

TEST_F(ImageSetTest, AllDamagedImagesAreNamedAtOnce) {
  write_all(three_images());
  write("train/a/0.png", {});
  write("train/a/2.jpg", {'G', 'I', 'F'});
  Bytes cut = flat(1);
  cut.resize(50);
  write("train/b/3.png", cut);
  EXPECT_THAT(message_of([&] { open_image_folder(path("train"), Split::kTrain, {}); }),
              AllOf(HasSubstr("train/a/0.png: is neither JPEG nor PNG"),
                    HasSubstr("; and 2 others of 6 images cannot be used: a/2.jpg, b/3.png")));
  for (int i = 0; i < 20; ++i) write("more/a/" + std::to_string(i) + ".png", {});
  EXPECT_THAT(message_of([&] { open_image_folder(path("more"), Split::kTrain, {}); }),
              HasSubstr("and 19 others of 20 images cannot be used: a/1.png, a/10.png, a/11.png, a/12.png, a/13.png, "
                        "a/14.png, a/15.png, a/16.png, a/17.png, a/18.png and 9 more"));
}

TEST_F(ImageSetTest, AJpegWithoutItsEndMarkIsAWarning) {
  Bytes jpeg = make_jpeg(6, 6, ramp(6, 6, 3));
  write("train/a/1.jpg", jpeg);
  jpeg.resize(jpeg.size() - 2);
  write("train/a/2.jpg", jpeg);
  const DatasetPtr data = open_image_folder(path("train"), Split::kTrain, {});
  EXPECT_EQ(values(*data)[0], values(*data)[1]);
  EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr("1 JPEG file has no end mark, but all pixels (first: a/2.jpg)")));
  ImageOptions on_demand;
  on_demand.memory_bytes = 100;
  const DatasetPtr large = open_image_folder(path("train"), Split::kTrain, on_demand);
  EXPECT_THAT(large->warnings(), ::testing::IsEmpty()) << "not decoded yet";
  EXPECT_EQ(describe(*large).warnings, data->warnings());
}

TEST_F(ImageSetTest, DamagedImagesOfALargeSetAreNamed) {
  ImageOptions on_demand;
  on_demand.memory_bytes = 300;
  write_all(three_images());
  write("train/a/9.png", {'x'});
  write("train/b/3.png", {});
  const DatasetPtr data = open_image_folder(path("train"), Split::kTrain, on_demand);
  EXPECT_THAT(message_of([&] { describe(*data); }),
              AllOf(HasSubstr("train/a/9.png: is neither JPEG nor PNG"),
                    HasSubstr("; and 1 other of 5 images cannot be used: b/3.png")));
  write("train/a/0.png", {});
  EXPECT_THAT(message_of([&] { open_image_folder(path("train"), Split::kTrain, on_demand); }),
              HasSubstr("train/a/0.png: is neither JPEG nor PNG"))
      << "the first one, by which the size is known";
}

TEST_F(ImageSetTest, DigestsTellImagesApart) {
  write_all(three_images());
  const auto of = [&] { return digest(*open_image_folder(path("train"), Split::kTrain, {})); };
  const Digest before = of();
  EXPECT_EQ(digest(*open_image_archive(make_tar(three_images("./x/train/")), "m", Split::kTrain, {})), before)
      << "wherever they lie";
  EXPECT_EQ(difference(before, of()), "");
  EXPECT_FALSE(only_contents_differ(before, of()));
  write("train/b/1.PNG", flat(29));
  EXPECT_TRUE(only_contents_differ(before, of()));
  EXPECT_THAT(difference(before, of()), HasSubstr("3 images of the same names as before, but of other contents"));
  fs::rename(path("train/b/1.PNG"), path("train/b/4.PNG"));
  EXPECT_THAT(difference(before, of()), HasSubstr("3 images as before, but of other names or classes"));
  EXPECT_FALSE(only_contents_differ(before, of()));
  write("train/b/5.png", flat(1));
  EXPECT_EQ(difference(before, of()), "had 3 images, now 4");
}

TEST_F(ImageSetTest, ThingsThatAreNoArchive) {
  EXPECT_THAT(message_of([&] { open_image_archive(path("none.tar"), Split::kTrain, {}); }),
              AllOf(HasSubstr("none.tar: cannot read: No such file"), HasSubstr("check the path")));
  EXPECT_THAT(message_of([&] { open_image_archive(dir_.string(), Split::kTrain, {}); }), HasSubstr("no regular file"));
  EXPECT_THAT(message_of([&] { open_image_archive(write("e.tar", {}), Split::kTrain, {}); }), HasSubstr("e.tar"));
  EXPECT_THAT(message_of([&] { open_image_archive(write("r.tar", Bytes(3000, 'x')), Split::kTrain, {}); }),
              HasSubstr("r.tar: is no tar, plain or compressed"));
}

}  // namespace
}  // namespace fdi::datasets
