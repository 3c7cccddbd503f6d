#include "datasets/image_scan.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "datasets/archive.h"
#include "datasets/decompress.h"
#include "datasets/image.h"
#include "datasets/names.h"

namespace fdi::datasets {
namespace {

namespace fs = std::filesystem;
using LeftOut = EncodedImages::LeftOut;

// tiny-imagenet's own layout: train/<class>/images/*, and val/images/* with a list of their classes.
constexpr const char* kImages = "images";
constexpr const char* kAnnotations = "val_annotations.txt";
constexpr uint64_t kMostAnnotations = 64 << 20;

bool is_split(std::string_view name, Split split) {
  const auto names = split_names(split);
  return std::find(names.begin(), names.end(), name) != names.end();
}

void scan_class(EncodedImages& images, const std::string& class_name, const fs::path& folder,
                const std::string& prefix) {
  for (const auto& file : fs::directory_iterator(folder)) {
    const std::string base = file.path().filename().string(), name = fmt::format("{}/{}", prefix, base);
    std::error_code error;  // a link that leads nowhere is none
    if (file.is_regular_file(error)) {
      if (has_image_extension(name))
        images.add(class_name, name, {});
      else
        images.leave_out(LeftOut::kNoImage, name, static_cast<int64_t>(file.file_size(error)));
    } else if (file.is_directory(error)) {
      if (base == kImages && prefix == class_name)
        scan_class(images, class_name, file.path(), name);
      else
        images.leave_out(is_hidden_folder(base) ? LeftOut::kHidden : LeftOut::kFolder, name);
    } else {
      images.leave_out(file.is_symlink(error) ? LeftOut::kDangling : LeftOut::kNoImage, name);
    }
  }
}

// What the path of an archive's member says.
struct Place {
  std::optional<LeftOut> why;   // none: an image of the class
  std::string_view class_name;  // where `why` is none
};

Place place_of(std::string_view name, Split split, bool bare) {
  std::vector<std::string_view> part;
  for (std::string_view rest = name; !rest.empty(); rest.remove_prefix(std::min(part.back().size() + 1, rest.size())))
    part.push_back(rest.substr(0, rest.find('/')));
  const size_t n = part.size();
  const auto of_class = [](std::string_view folder) {
    return is_hidden_folder(folder) ? Place{LeftOut::kHidden, {}} : Place{{}, folder};
  };
  if (n >= 3 && is_split(part[n - 3], split)) return of_class(part[n - 2]);
  if (n >= 4 && part[n - 2] == kImages && is_split(part[n - 4], split)) return of_class(part[n - 3]);
  if (bare && n == 2) return of_class(part[0]);
  if (bare && n == 3 && part[1] == kImages) return of_class(part[0]);
  const bool other = n >= 3 && (is_split(part[n - 3], Split::kTrain) || is_split(part[n - 3], Split::kTest));
  if ((n >= 2 && !other && is_split(part[n - 2], split)) || (bare && n == 1)) return {LeftOut::kNoClass, {}};
  if (!other && bare && n >= 3) return {LeftOut::kDeeper, {}};
  if (!other && n >= 4 && std::any_of(part.begin(), part.end() - 3, [&](auto p) { return is_split(p, split); }))
    return {LeftOut::kDeeper, {}};
  return {LeftOut::kElsewhere, {}};
}

// The links of an archive: what each one leads to, over others, as the name of a file.
class Links {
 public:
  // Of members with one name the last one counts.
  void see(const Member& m) {
    if (m.type == Member::Type::kLink)
      target_[m.name] = m.target;
    else if (!target_.empty())
      target_.erase(m.name);
  }
  std::string end_of(const std::string& name) const {
    std::string at = name;
    for (int hops = 0; hops < 40; ++hops) {  // as many as Linux follows; more are a circle
      const auto next = target_.find(at);
      if (next == target_.end()) return at;
      at = next->second;
    }
    return {};
  }

 private:
  std::unordered_map<std::string, std::string> target_;
};

class ArchiveScan {
 public:
  ArchiveScan(const Source& archive, Split split, int64_t memory_bytes)
      : archive_(archive),
        split_(split),
        memory_bytes_(memory_bytes),
        in_place_(archive.in_file() && open_compressed(archive) == nullptr) {
    const std::string stem = fs::path(archive.where()).filename().string();
    for (const char* name : split_names(split))
      bare_ = bare_ || stem.starts_with(fmt::format("{}.tar", name)) || stem.starts_with(fmt::format("{}.tgz", name));
    using Kind = EncodedImages::Kind;
    images_ = std::make_unique<EncodedImages>(in_place_ ? Kind::kOneFile : Kind::kMemory, archive.where(), split);
    limits_.member_bytes = kMaxImageBytes;
  }
  std::unique_ptr<EncodedImages> run() {
    images_->warn(for_each_member(archive_, limits_, [&](const Member& m) { visit(m); }));
    follow_links();
    if (cifar_ && images_->size() == 0) return nullptr;
    images_->finish();
    return std::move(images_);
  }

 private:
  void visit(const Member& m) {
    links_.see(m);
    const Place place = place_of(m.name, split_, bare_);
    if (!has_image_extension(m.name) || m.type == Member::Type::kOther) return visit_other(m, place);
    if (place.why) return images_->leave_out(*place.why, m.name);
    if (m.type == Member::Type::kFile) return images_->add(place.class_name, m.name, store(m));
    images_->add_link(place.class_name, m.name);
    linked_.insert(m.name);
  }

  void visit_other(const Member& m, const Place& place) {
    cifar_ = cifar_ || is_cifar_batch(m.name);
    if (m.type == Member::Type::kFile && m.name.substr(m.name.rfind('/') + 1) == kAnnotations) {
      const auto text = m.read();
      images_->annotate({reinterpret_cast<const char*>(text.data()), text.size()});
    } else if (m.type == Member::Type::kLink && (!place.why || place.why == LeftOut::kNoClass)) {
      other_links_.push_back(m.name);
    } else if (place.why != LeftOut::kElsewhere || !unread_set(m.name, m.bytes).empty() || is_archive(m.name)) {
      others_.push_back({place.why == LeftOut::kHidden ? LeftOut::kHidden : LeftOut::kNoImage, m.name, m.bytes});
    }
  }

  // The targets of links may lie anywhere in the archive: it is walked once more where some are no images of the set.
  void follow_links() {
    std::unordered_set<std::string> wanted;   // targets of images
    std::unordered_set<std::string> unknown;  // targets of other links: a file, a folder, or missing
    for (const std::string& name : linked_) wanted.insert(links_.end_of(name));
    for (const std::string& name : other_links_) unknown.insert(links_.end_of(name));
    unknown.erase("");
    for (const auto& [why, name, bytes] : others_)
      if (!wanted.contains(name)) images_->leave_out(why, name, bytes);
    auto contents = images_->find(wanted);
    std::erase_if(wanted, [&](const std::string& name) { return contents.contains(name); });
    std::unordered_set<std::string> files;  // of `unknown`
    if (!wanted.empty() || !unknown.empty())
      for_each_member(archive_, limits_, [&](const Member& m) {
        if (m.type != Member::Type::kFile) return;
        if (wanted.contains(m.name)) contents[m.name] = store(m);
        if (unknown.contains(m.name)) files.insert(m.name);
      });
    for (const std::string& name : other_links_)
      images_->leave_out(files.contains(links_.end_of(name)) ? LeftOut::kNoImage : LeftOut::kFolderLink, name);
    images_->resolve([&](const std::string& name) -> const Stored* {
      const auto found = contents.find(links_.end_of(name));
      return found != contents.end() ? &found->second : nullptr;
    });
  }

  Stored store(const Member& m) {
    const int64_t offset = m.offset();  // also checks the size
    if (in_place_) {
      if (offset < 0)
        core::fail("{}: member '{}' is stored with gaps (sparse); make the archive again without", archive_.where(),
                   m.name);
      return {offset, m.bytes};
    }
    if (images_->memory_bytes() + m.bytes > memory_bytes_)
      core::fail(
          "{}: holds more than {} MiB of images, too many to keep; unpack it, or use a plain .tar, read in place",
          archive_.where(), memory_bytes_ >> 20);
    return images_->keep(m.read());
  }

  const Source& archive_;
  Split split_;
  int64_t memory_bytes_;
  bool in_place_;
  bool bare_ = false;   // the archive is one split: its members need not name it
  bool cifar_ = false;  // some of CIFAR-10's binary files were seen
  ArchiveLimits limits_;
  std::unique_ptr<EncodedImages> images_;
  Links links_;
  std::unordered_set<std::string> linked_;  // the images that are links
  std::vector<std::string> other_links_;    // links without an image's extension, in a split or class folder
  struct Other {
    LeftOut why;
    std::string name;
    int64_t bytes;
  };
  std::vector<Other> others_;  // no images by their names; the targets of `linked_` among them are used
};

}  // namespace

bool has_classes(const std::string& split_folder) {
  std::error_code error;
  for (fs::directory_iterator it(split_folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;  // a link that leads nowhere is no folder
    if (name == kAnnotations || (name != kImages && !is_hidden_folder(name) && it->is_directory(ignored))) return true;
  }
  return static_cast<bool>(error);
}

std::unique_ptr<EncodedImages> scan_folder(const std::string& split_folder, Split split) {
  auto images = std::make_unique<EncodedImages>(EncodedImages::Kind::kFiles, split_folder, split);
  try {
    for (const auto& entry : fs::directory_iterator(split_folder)) {
      const std::string name = entry.path().filename().string();
      std::error_code error;
      if (entry.is_directory(error)) {
        if (is_hidden_folder(name)) {
          images->leave_out(LeftOut::kHidden, name);
          continue;
        }
        images->add_class(name);
        scan_class(*images, name, entry.path(), name);
      } else if (entry.is_symlink(error) && !entry.exists(error)) {
        images->leave_out(LeftOut::kDangling, name);
      } else if (name == kAnnotations) {
        images->annotate(core::read_file(entry.path().string(), kMostAnnotations));
      } else {
        images->leave_out(has_image_extension(name) ? LeftOut::kNoClass : LeftOut::kNoImage, name,
                          entry.is_regular_file(error) ? static_cast<int64_t>(entry.file_size(error)) : -1);
      }
    }
  } catch (const fs::filesystem_error& e) {
    core::fail("{}: cannot read the folder: {}; check the path and its rights",
               e.path1().empty() ? split_folder : e.path1().string(), e.code().message());
  }
  images->finish();
  return images;
}

std::unique_ptr<EncodedImages> scan_archive(const Source& archive, Split split, int64_t memory_bytes) {
  return ArchiveScan(archive, split, memory_bytes).run();
}

}  // namespace fdi::datasets
