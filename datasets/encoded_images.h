// EncodedImages: the list of a set's image files with their labels, and where each one's bytes are: in a file of its
// own, at an offset of one big file (a plain tar), or in memory. Filled by the folder and archive scans, read by
// ImageSet.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/source.h"

namespace fdi::datasets {

// Position of an image's bytes in the tar or in memory. Unused for an image in a file of its own.
struct Stored {
  int64_t offset = 0, bytes = 0;
};

class EncodedImages {
 public:
  enum class Kind { kFiles, kOneFile, kMemory };
  // Why a scan left a file or folder out. warnings() gives the count of each reason and the first name.
  enum class LeftOut {
    kNoImage,     // another kind of file
    kArchive,     // one that holds others
    kNoClass,     // an image that lies in no class folder
    kFolder,      // a folder inside a class folder
    kDeeper,      // an image in such a folder of an archive
    kElsewhere,   // an image of an archive outside the split; reported only where the split has none
    kHidden,      // what lies in a hidden folder
    kDangling,    // a link that leads nowhere
    kFolderLink,  // a link of an archive to a whole folder
    kReplaced,    // a member that came again later under the same name
    kUnlisted,    // an image without a line in val_annotations.txt
  };
  EncodedImages(Kind kind, std::string place, Split split);  // kOneFile: `place` is opened
  EncodedImages(const EncodedImages&) = delete;
  EncodedImages& operator=(const EncodedImages&) = delete;

  void add_class(std::string_view name);  // in any order
  // Of two images with one name, the later one counts.
  void add(std::string_view class_name, std::string name, Stored stored);
  Stored keep(std::span<const uint8_t> bytes);  // in memory
  // Those of `names` that were added, and where each is stored; without the links of add_link().
  std::unordered_map<std::string, Stored> find(const std::unordered_set<std::string>& names) const;
  // An image that is a link. resolve(), called before finish(), looks up what it points to; `contents` returns null for
  // a link that leads nowhere, which is left out.
  void add_link(std::string_view class_name, std::string name);
  void resolve(const std::function<const Stored*(const std::string& name)>& contents);
  void leave_out(LeftOut why, std::string_view name, int64_t bytes = -1);  // `bytes`: see unread_set()
  void warn(const std::string& text);                                      // "" is no warning
  // Lines "file TAB class ..." of tiny-imagenet's val_annotations.txt, for the images of a folder `images`.
  void annotate(std::string_view text);
  // Sorts classes and images by name and numbers the labels. Throws Error where there is no image, where a class of the
  // training split has none, or where a class name is no UTF-8. Classes of the test split that are empty are dropped.
  void finish();

  int64_t size() const { return static_cast<int64_t>(items_.size()); }
  int label(int64_t i) const { return items_[i].label; }
  const std::string& name(int64_t i) const { return items_[i].name; }
  int64_t memory_bytes() const { return static_cast<int64_t>(memory_.size()); }
  // The bytes of image i, in `buffer` or in memory of this object. Thread-safe. Throws Error naming the image.
  std::span<const uint8_t> read(int64_t i, std::vector<uint8_t>& buffer) const;
  std::string where(int64_t i) const;  // "train.tar: train/cat/0001.jpg", heads messages

  const std::vector<std::string>& classes() const { return classes_; }
  const std::string& place() const { return place_; }
  Split split() const { return split_; }
  std::vector<std::string> warnings() const;
  void release_memory();  // after everything has been decoded

 private:
  struct Item {
    std::string name;
    int label;
    Stored stored;  // bytes < 0: a link that is not resolved
  };
  struct Count {
    int64_t count = 0;
    std::string first;
  };
  static constexpr size_t kReasons = static_cast<size_t>(LeftOut::kUnlisted) + 1;
  int class_index(std::string_view name);
  void apply_annotations();
  void sort();
  void drop_replaced();
  void check_empty_classes();
  [[noreturn]] void fail_empty() const;
  std::string left_out(LeftOut why) const;  // "2 files are ... (first: x)", or ""

  Kind kind_;
  std::string place_;
  Split split_;
  std::optional<Source> file_;  // kOneFile
  std::vector<Item> items_;
  std::vector<std::string> classes_;
  std::vector<uint8_t> memory_;
  std::array<Count, kReasons> left_out_;
  std::vector<std::string> warnings_;
  std::string unread_set_;                                    // what a file belongs to that is no image
  std::unordered_map<std::string, std::string> annotations_;  // file name to class
};

}  // namespace fdi::datasets
