// The list behind ImageSet; see the header.
#include "datasets/encoded_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "datasets/image.h"
#include "datasets/names.h"

namespace fdi::datasets {
namespace {

constexpr std::string_view kImagesFolder = "images";  // of tiny-imagenet: inside a class folder, or without classes

}  // namespace

EncodedImages::EncodedImages(Kind kind, std::string place, Split split)
    : kind_(kind), place_(std::move(place)), split_(split) {
  if (kind_ == Kind::kOneFile) file_.emplace(place_);
}

int EncodedImages::class_index(std::string_view name) {
  if (!classes_.empty() && classes_.back() == name) return static_cast<int>(classes_.size()) - 1;  // the usual case
  const auto found = std::find(classes_.begin(), classes_.end(), name);
  if (found != classes_.end()) return static_cast<int>(found - classes_.begin());
  classes_.emplace_back(name);
  return static_cast<int>(classes_.size()) - 1;
}

void EncodedImages::add_class(std::string_view name) { class_index(name); }

void EncodedImages::add(std::string_view class_name, std::string name, Stored stored) {
  items_.push_back({std::move(name), class_index(class_name), stored});
}

Stored EncodedImages::keep(std::span<const uint8_t> bytes) {
  const Stored stored{memory_bytes(), static_cast<int64_t>(bytes.size())};
  memory_.insert(memory_.end(), bytes.begin(), bytes.end());
  return stored;
}

void EncodedImages::add_link(std::string_view class_name, std::string name) {
  add(class_name, std::move(name), {0, -1});
}

std::unordered_map<std::string, Stored> EncodedImages::find(const std::unordered_set<std::string>& names) const {
  std::unordered_map<std::string, Stored> found;
  for (const Item& item : items_)
    if (item.stored.bytes >= 0 && names.contains(item.name)) found[item.name] = item.stored;
  return found;
}

void EncodedImages::resolve(const std::function<const Stored*(const std::string& name)>& contents) {
  for (Item& item : items_)
    if (item.stored.bytes < 0)
      if (const Stored* stored = contents(item.name); stored != nullptr) item.stored = *stored;
}

void EncodedImages::leave_out(LeftOut why, std::string_view name, int64_t bytes) {
  if (why == LeftOut::kNoImage) {
    if (unread_set_.empty()) unread_set_ = unread_set(name, bytes);
    if (is_archive(name)) why = LeftOut::kArchive;
  }
  Count& count = left_out_[static_cast<size_t>(why)];
  if (count.count++ == 0) count.first = name;
}

void EncodedImages::warn(const std::string& text) {
  if (!text.empty()) warnings_.push_back(text);
}

void EncodedImages::annotate(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    const std::string_view rest = line.substr(tab + 1);
    annotations_.emplace(line.substr(0, tab), rest.substr(0, rest.find_first_of("\t\r")));
  }
}

void EncodedImages::apply_annotations() {
  const auto images = std::find(classes_.begin(), classes_.end(), kImagesFolder);
  if (annotations_.empty() || images == classes_.end()) return;
  const auto unlabelled = static_cast<int>(images - classes_.begin());
  std::erase_if(items_, [&](Item& item) {
    if (item.label != unlabelled) return false;
    const auto found = annotations_.find(item.name.substr(item.name.rfind('/') + 1));
    if (found == annotations_.end()) leave_out(LeftOut::kUnlisted, item.name);
    if (found != annotations_.end()) item.label = class_index(found->second);
    return found == annotations_.end();
  });
  classes_.erase(classes_.begin() + unlabelled);
  for (Item& item : items_) item.label -= item.label > unlabelled ? 1 : 0;
}

void EncodedImages::sort() {
  std::vector<int> order(classes_.size()), rank(classes_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return classes_[a] < classes_[b]; });
  std::vector<std::string> sorted;
  for (size_t i = 0; i < order.size(); ++i) {
    rank[order[i]] = static_cast<int>(i);
    sorted.push_back(classes_[order[i]]);
  }
  classes_ = std::move(sorted);
  for (Item& item : items_) item.label = rank[item.label];
  std::stable_sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
    return a.label != b.label ? a.label < b.label : a.name < b.name;
  });
}

// Of sorted items.
void EncodedImages::drop_replaced() {
  size_t kept = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (i + 1 < items_.size() && items_[i].name == items_[i + 1].name)
      leave_out(LeftOut::kReplaced, items_[i].name);
    else if (items_[i].stored.bytes < 0)
      leave_out(LeftOut::kDangling, items_[i].name);
    else if (kept++ != i)
      items_[kept - 1] = std::move(items_[i]);
  }
  items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(kept), items_.end());
}

void EncodedImages::check_empty_classes() {
  std::vector<int64_t> count(classes_.size());
  for (const Item& item : items_) ++count[item.label];
  std::vector<std::string> empty, kept;
  std::vector<int> label(classes_.size());
  for (size_t c = 0; c < count.size(); ++c) {
    label[c] = static_cast<int>(kept.size());
    (count[c] > 0 ? kept : empty).push_back(classes_[c]);
  }
  if (empty.empty()) return;
  const std::string names = list_of(empty);
  if (split_ == Split::kTrain)
    core::fail("{}: class folder{} '{}' hold{} no images; fill or remove {}{}", place_, empty.size() == 1 ? "" : "s",
               names, empty.size() == 1 ? "s" : "", empty.size() == 1 ? "it" : "them",
               left_out_[static_cast<size_t>(LeftOut::kFolder)].count > 0 ? "; " + left_out(LeftOut::kFolder) : "");
  warn(fmt::format("{}: class folder{} '{}' hold{} no images", place_, empty.size() == 1 ? "" : "s", names,
                   empty.size() == 1 ? "s" : ""));
  classes_ = std::move(kept);
  for (Item& item : items_) item.label = label[item.label];
}

void EncodedImages::finish() {
  apply_annotations();
  const auto is_split_name = [](const std::string& name) {
    for (const Split split : {Split::kTrain, Split::kTest})
      for (const char* wanted : split_names(split))
        if (name == wanted) return true;
    return false;
  };
  if (classes_.size() == 1 && (classes_[0] == kImagesFolder || is_split_name(classes_[0]))) {
    for (const Item& item : items_) leave_out(LeftOut::kNoClass, item.name);
    items_.clear();
  }
  for (const std::string& name : classes_)
    if (!core::is_utf8(name))
      core::fail(
          "{}: the name of class folder '{}' is no UTF-8 (an old zip or system wrote it); rename it, in the "
          "training and the test images",
          place_, core::printable(name));
  sort();
  drop_replaced();
  if (items_.empty()) fail_empty();
  check_empty_classes();
}

std::string EncodedImages::left_out(LeftOut why) const {
  const Count& c = left_out_[static_cast<size_t>(why)];
  if (c.count == 0) return {};
  const bool one = c.count == 1;
  const auto told = [&](std::string_view singular, std::string_view plural) {
    return fmt::format("{} {} (first: {})", c.count, one ? singular : plural, core::printable(c.first));
  };
  switch (why) {
    case LeftOut::kNoImage:
      return told("file is no .jpg, .jpeg or .png and ignored", "files are no .jpg, .jpeg or .png and ignored");
    case LeftOut::kArchive:
      return told("archive inside is not read: unpack it into a folder named after its class",
                  "archives inside are not read: unpack each into a folder named after its class");
    case LeftOut::kNoClass:
      return told("image is in no class folder: put it into a folder named after its class",
                  "images are in no class folder: put each into a folder named after its class");
    case LeftOut::kFolder:
      return told("folder inside a class folder is not looked into",
                  "folders inside class folders are not looked into");
    case LeftOut::kDeeper:
      return told("image lies deeper than its class folder and is left out: move it up",
                  "images lie deeper than their class folders and are left out: move them up");
    case LeftOut::kElsewhere:
      return told("image lies elsewhere", "images lie elsewhere");
    case LeftOut::kHidden:
      return told("hidden folder (.name, __MACOSX) is no class and skipped",
                  "entries of hidden folders (.name, __MACOSX) are no classes and skipped");
    case LeftOut::kDangling:
      return told("link leads nowhere and is left out: its content was not fetched, or has moved",
                  "links lead nowhere and are left out: their contents were not fetched, or have moved");
    case LeftOut::kFolderLink:
      return told("link to a folder is not followed inside an archive: unpack it",
                  "links to folders are not followed inside an archive: unpack it");
    case LeftOut::kReplaced:
      return told("member comes again under the same name; the last one counts, as when unpacked",
                  "members come again under the same name; the last one counts, as when unpacked");
    case LeftOut::kUnlisted:
      return told("image has no line in val_annotations.txt and is left out",
                  "images have no line in val_annotations.txt and are left out");
  }
  return {};
}

void EncodedImages::fail_empty() const {
  std::string found;
  for (size_t i = 0; i < kReasons; ++i)
    if (const std::string text = left_out(static_cast<LeftOut>(i)); !text.empty()) found += "; " + text;
  if (!unread_set_.empty()) core::fail("{}: holds no images: this is {}", place_, unread_set_);
  core::fail("{}: holds no images; wanted {}/<class>/*.jpg, .jpeg or .png{}", place_,
             fmt::join(split_names(split_), "|"), found);
}

std::string EncodedImages::where(int64_t i) const {
  return place_ + (kind_ == Kind::kFiles ? "/" : ": ") + items_[i].name;
}

std::span<const uint8_t> EncodedImages::read(int64_t i, std::vector<uint8_t>& buffer) const {
  const Stored& stored = items_[i].stored;
  if (kind_ == Kind::kMemory) return {memory_.data() + stored.offset, static_cast<size_t>(stored.bytes)};
  if (kind_ == Kind::kOneFile) return file_->read(stored.offset, stored.bytes, buffer);
  const Source file(where(i));
  if (file.size() > kMaxImageBytes)
    core::fail("{}: has {} bytes; at most {} MiB are accepted for an image; remove it", where(i), file.size(),
               kMaxImageBytes >> 20);
  return file.read(0, file.size(), buffer);
}

std::vector<std::string> EncodedImages::warnings() const {
  std::vector<std::string> all = warnings_;
  for (size_t i = 0; i < kReasons; ++i)
    if (const std::string text = left_out(static_cast<LeftOut>(i));
        !text.empty() && static_cast<LeftOut>(i) != LeftOut::kElsewhere)
      all.push_back(fmt::format("{}: {}", place_, text));
  return all;
}

void EncodedImages::release_memory() { std::vector<uint8_t>().swap(memory_); }

}  // namespace fdi::datasets
