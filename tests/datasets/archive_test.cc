// Tars as people have them: links, members that were replaced, what follows the end mark, other archives in a tar's
// place, files that change while they are read.
#include "datasets/archive.h"

#include <archive.h>

#include "datasets/digest.h"
#include "tests/datasets/files.h"

namespace fdi::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Bytes grey(int value) { return make_png(6, 6, Bytes(36, static_cast<uint8_t>(value)), PNG_COLOR_TYPE_GRAY); }

// A file, or a link to `target`.
struct Entry {
  std::string name;
  Bytes bytes;
  char link = 0;  // 's' symbolic, 'h' hard
  std::string target = {};
};

Bytes tar_of(const std::vector<Entry>& entries, int filter = ARCHIVE_FILTER_NONE, bool pax = false) {
  Bytes out(1 << 20);
  size_t used = 0;
  archive* a = archive_write_new();
  pax ? archive_write_set_format_pax(a) : archive_write_set_format_gnutar(a);
  archive_write_add_filter(a, filter);
  archive_write_open_memory(a, out.data(), out.size(), &used);
  for (const Entry& e : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, e.name.c_str());
    archive_entry_set_filetype(entry, e.link == 's' ? AE_IFLNK : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    if (e.link == 's') archive_entry_set_symlink(entry, e.target.c_str());
    if (e.link == 'h') archive_entry_set_hardlink(entry, e.target.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(e.bytes.size()));
    archive_write_header(a, entry);
    if (!e.bytes.empty()) archive_write_data(a, e.bytes.data(), e.bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(a);
  archive_write_free(a);
  out.resize(used);
  return out;
}

class ArchiveTest : public DatasetFiles {
 protected:
  // As a plain tar, read in place; gzipped; and in memory: always the same.
  void check(const std::vector<Entry>& entries, const std::vector<int>& wanted, const std::string& warning) const {
    for (const std::string name : {"set.tar", "set.tar.gz"}) {
      const Bytes tar = tar_of(entries, name == "set.tar" ? ARCHIVE_FILTER_NONE : ARCHIVE_FILTER_GZIP);
      for (const DatasetPtr& data : {open_image_archive(write(name, tar), Split::kTrain, {}),
                                     open_image_archive(tar, "memory", Split::kTrain, {})}) {
        EXPECT_EQ(values(*data), wanted) << data->source();
        if (warning.empty()) {
          EXPECT_THAT(data->warnings(), IsEmpty());
        } else {
          EXPECT_THAT(data->warnings(), ElementsAre(HasSubstr(warning)));
        }
      }
    }
  }
  std::string refusal(const Bytes& bytes) const {
    return message_of([&] { open_image_archive(bytes, "train.tar", Split::kTrain, {}); });
  }
};

TEST_F(ArchiveTest, LinksInsideTheArchiveAreFollowed) {
  const std::vector<Entry> linked{{"blobs/x", grey(7)},
                                  {"train/a/1.png", grey(10)},
                                  {"train/a/hard.png", {}, 'h', "train/a/1.png"},
                                  {"train/a/near.png", {}, 's', "1.png"},
                                  {"train/b/blob.png", {}, 's', "../../blobs/x"},
                                  {"train/b/over.png", {}, 's', "../../also"},
                                  {"also", {}, 's', "./later"},
                                  {"later", grey(30)}};
  check(linked, {10, 10, 10, 7, 30}, "");
  const Bytes bare = tar_of({{"blobs/x", grey(7)}, {"a/1.png", {}, 's', "../blobs/x"}});
  const DatasetPtr data = open_image_archive(bare, "train.tar", Split::kTrain, {});
  EXPECT_THAT(values(*data), ElementsAre(7));
  EXPECT_THAT(data->warnings(), IsEmpty()) << "what a link means is no other file";
}

TEST_F(ArchiveTest, ALinkMayGoUpInTheMiddleOfItsPath) {
  check({{"train/a/1.png", grey(10)},
         {"train/a/2.png", {}, 's', "x/../1.png"},
         {"train/a/3.png", {}, 's', "../../x/../blobs/y/.././1.png"},
         {"blobs/1.png", grey(20)}},
        {10, 10, 20}, "");
  check({{"train/a/1.png", grey(10)}, {"train/a/2.png", {}, 's', "x/../../../../train/a/1.png"}}, {10},
        "1 link leads nowhere and is left out");
}

TEST_F(ArchiveTest, ALinkToAFileIsNoLinkToAFolder) {
  check({{"README", {'x'}}, {"train/a/README", {}, 's', "../../README"}, {"train/a/1.png", grey(10)}}, {10},
        "1 file is no .jpg, .jpeg or .png and ignored (first: train/a/README)");
  check({{"train/a/1.png", grey(10)}, {"train/first", {}, 's', "a/1.png"}}, {10},
        "1 file is no .jpg, .jpeg or .png and ignored (first: train/first)");
}

TEST_F(ArchiveTest, LinksThatLeadNowhereAreTold) {
  const std::vector<Entry> linked{{"train/a/1.png", grey(10)},
                                  {"train/a/absolute.png", {}, 's', "/etc/passwd"},
                                  {"train/a/circle.png", {}, 's', "circle.png"},
                                  {"train/a/gone.png", {}, 's', "none.png"},
                                  {"train/a/outside.png", {}, 's', "../../../x/train/a/1.png"}};
  check(linked, {10}, "4 links lead nowhere and are left out");
}

TEST_F(ArchiveTest, ALinkToAWholeClassIsTold) {
  check({{"train/a/1.png", grey(10)}, {"train/b", {}, 's', "../more/b"}, {"more/b/1.png", grey(20)}}, {10},
        "1 link to a folder is not followed inside an archive: unpack it (first: train/b)");
}

TEST_F(ArchiveTest, TheLastMemberOfANameCounts) {
  const std::vector<Entry> replaced{{"train/a/1.png", grey(10)},
                                    {"./train/a/2.png", grey(20)},
                                    {"train/b/1.png", grey(30)},
                                    {"train/a/2.png", grey(21)},
                                    {"train/b/1.png", {}, 'h', "train/a/1.png"}};
  check(replaced, {10, 21, 10}, "2 members come again under the same name; the last one counts");
}

TEST_F(ArchiveTest, WhatFollowsTheEndMarkIsTold) {
  Bytes tar = tar_of({{"train/a/1.png", grey(10)}});
  const auto warnings = [](const Bytes& bytes) {
    const DatasetPtr data = open_image_archive(bytes, "train.tar", Split::kTrain, {});
    EXPECT_EQ(data->size(), 1);
    return data->warnings();
  };
  EXPECT_THAT(warnings(tar), IsEmpty());
  ASSERT_EQ(tar.size(), 2048U);
  Bytes twice = tar;
  twice.insert(twice.end(), tar.begin(), tar.end());
  EXPECT_THAT(warnings(twice),
              ElementsAre(AllOf(HasSubstr("train.tar: another tar follows its end mark at byte 2048 and"),
                                HasSubstr("(2048 bytes)"), HasSubstr("tar -xif"))));
  Bytes junk = tar;
  junk.insert(junk.end(), 1100, 'j');
  EXPECT_THAT(warnings(junk), ElementsAre(HasSubstr("1100 bytes follow its end mark at byte 2048 and are not read")));
  // The same where it was compressed.
  for (const Bytes& bytes : {twice, junk}) {
    const Bytes packed = make_gzip(bytes);
    EXPECT_THAT(warnings(packed), ElementsAre(HasSubstr("its end mark at byte 2048")));
  }
  junk.resize(tar.size() + 100'000, 0);  // a tape's padding, however long
  std::fill(junk.begin() + static_cast<long>(tar.size()), junk.end(), uint8_t{0});
  EXPECT_THAT(warnings(junk), IsEmpty());
}

TEST_F(ArchiveTest, LongNamesAndOtherHeadersAreReadInPlace) {
  const std::string deep = "d" + std::string(120, 'e') + "/" + std::string(120, 'f');
  for (const bool pax : {false, true}) {
    const Bytes tar = tar_of({{deep + "/train/a/1.png", grey(10)}, {deep + "/train/caf\xC3\xA9/2.png", grey(20)}},
                             ARCHIVE_FILTER_NONE, pax);
    EXPECT_EQ(values(*open_image_archive(write("s.tar", tar), Split::kTrain, {})), (std::vector{10, 20}));
  }
}

TEST_F(ArchiveTest, OtherFormatsAreNamed) {
  const auto text = [](std::string_view s) { return Bytes(s.begin(), s.end()); };
  EXPECT_THAT(refusal(text("PK\x03\x04 and so on")),
              AllOf(HasSubstr("train.tar: is a zip archive, which is not read"), HasSubstr("unpack it (unzip FILE)")));
  EXPECT_THAT(refusal(text("7z\xBC\xAF\x27\x1C")), HasSubstr("is a 7z or rar archive"));
  EXPECT_THAT(refusal(text("<!DOCTYPE html>")), HasSubstr("a page of HTML"));
  EXPECT_THAT(refusal(text("version https://git-lfs.github.com/spec/v1\n")), HasSubstr("git lfs pull"));
  EXPECT_THAT(refusal(grey(1)), HasSubstr("a single image"));
  for (const char* pickle : {"\x80\x02}q", "\x80\x03}q", "\x80\x04\x95", "\x80\x05\x95"})
    EXPECT_THAT(refusal(text(pickle)), HasSubstr("is a Python pickle, which is not read"));
  EXPECT_THAT(refusal(Bytes(10240)), HasSubstr("holds no images")) << "a tar without members";
  EXPECT_THAT(message_of([&] { open_image_archive(dir_.string(), Split::kTrain, {}); }),
              HasSubstr("is a folder, no regular file"));
}

TEST_F(ArchiveTest, ArchivesWithinAndSetsThatAreNotReadAreNamed) {
  EXPECT_THAT(refusal(tar_of({{"n01440764.tar", {1, 2}}, {"n01443537.tar", {1}}})),
              AllOf(HasSubstr("holds no images"),
                    HasSubstr("2 archives inside are not read: unpack each into a folder named after its class "
                              "(first: n01440764.tar)")));
  EXPECT_THAT(refusal(tar_of({{"cifar-10-batches-py/data_batch_1", {1}}})),
              AllOf(HasSubstr("the Python version of CIFAR-10"), HasSubstr("fastdeepiot data download cifar10")));
  EXPECT_THAT(refusal(tar_of({{"cifar-100-binary/train.bin", {1}}})),
              HasSubstr("this is CIFAR-100, which is not read"));
  EXPECT_THAT(refusal(tar_of({{"set/train.bin", Bytes(2 * 3074)}})), HasSubstr("this is CIFAR-100"));
  EXPECT_THAT(refusal(tar_of({{"set/train.bin", Bytes(100)}})), Not(HasSubstr("CIFAR-100")));
  EXPECT_THAT(
      refusal(tar_of({{"images/a/1.png", grey(1)}})),
      HasSubstr("1 image lies deeper than its class folder and is left out: move it up (first: images/a/1.png)"));
  EXPECT_THAT(refusal(tar_of({{"train/1.png", grey(1)}})), HasSubstr("1 image is in no class folder"));
}

TEST_F(ArchiveTest, FoldersThatAreNoClassesAreTold) {
  check({{"train/.ipynb_checkpoints/1.png", grey(9)}, {"train/a/1.png", grey(10)}, {"train/__MACOSX/1.png", grey(9)}},
        {10}, "2 entries of hidden folders (.name, __MACOSX) are no classes and skipped");
  check({{"train/a/1.png", grey(10)}, {"train/a/more/2.png", grey(11)}}, {10}, "1 image lies deeper than its class");
}

TEST_F(ArchiveTest, TinyImagenetsOwnLayout) {
  const std::string list = "v2.png\tb\t0\t0\t1\t1\nv1.png\ta\t0\t0\t1\t1\r\n";
  const Bytes train = tar_of({{"t/train/a/images/a1.png", grey(10)},
                              {"t/train/a/a_boxes.txt", {'x'}},
                              {"t/train/b/images/b1.png", grey(20)},
                              {"t/val/images/v1.png", grey(30)},
                              {"t/val/images/v2.png", grey(40)},
                              {"t/val/images/v3.png", grey(50)},
                              {"t/val/val_annotations.txt", Bytes(list.begin(), list.end())}});
  const DatasetPtr data = open_image_archive(train, "t.tar", Split::kTrain, {});
  EXPECT_THAT(data->classes(), ElementsAre("a", "b"));
  EXPECT_THAT(values(*data), ElementsAre(10, 20));
  const DatasetPtr val = open_image_archive(train, "t.tar", Split::kTest, {});
  EXPECT_THAT(val->classes(), ElementsAre("a", "b"));
  EXPECT_THAT(values(*val), ElementsAre(30, 40));
  EXPECT_THAT(val->warnings(), ElementsAre(HasSubstr("1 image has no line in val_annotations.txt and is left out")));
}

TEST_F(ArchiveTest, AFileThatBecomesShorterIsAnError) {
  for (const int filter : {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ}) {
    Bytes noise(200'000);
    uint32_t state = 1;
    for (uint8_t& b : noise) b = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
    const std::string path = write("t.tar", tar_of({{"x/1", noise}, {"x/2", noise}}, filter));
    const Source source(path);
    fs::resize_file(path, 1000);
    EXPECT_THAT(message_of([&] { for_each_member(source, {}, [](const Member& m) { m.read(); }); }),
                HasSubstr("t.tar: ends at byte 1000, had "));
  }
}

TEST_F(ArchiveTest, AMembersSizeCountsWhereItIsRead) {
  ArchiveLimits limits;
  limits.member_bytes = 100;
  const Bytes tar = tar_of({{"big.bin", Bytes(5000)}, {"small", {1}}});
  int members = 0;
  for_each_member(Source(tar, "t.tar"), limits, [&](const Member&) { ++members; });
  EXPECT_EQ(members, 2);
  EXPECT_THAT(message_of([&] { for_each_member(Source(tar, "t.tar"), limits, [](const Member& m) { m.read(); }); }),
              HasSubstr("member 'big.bin' claims 5000 bytes"));
}

}  // namespace
}  // namespace fdi::datasets
