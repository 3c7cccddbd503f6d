// The list behind ImageSet; see the header.
#include "datasets/encoded_images.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "core/error.h"
#include "datasets/image.h"

namespace fdi::datasets {

bool has_image_extension(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.substr(name.rfind('/') + 1).starts_with('.')) return false;
  std::string extension(name.substr(dot));
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

EncodedImages::EncodedImages(Kind kind, std::string place, Split split)
    : kind_(kind), place_(std::move(place)), split_(split) {
  if (kind_ != Kind::kOneFile) return;
  fd_ = ::open(place_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) core::fail("{}: cannot read: {}; check the path", place_, std::strerror(errno));
}

EncodedImages::~EncodedImages() {
  if (fd_ >= 0) ::close(fd_);
}

int EncodedImages::class_index(std::string_view name) {
  if (!classes_.empty() && classes_.back() == name) return static_cast<int>(classes_.size()) - 1;  // the usual case
  const auto found = std::find(classes_.begin(), classes_.end(), name);
  if (found != classes_.end()) return static_cast<int>(found - classes_.begin());
  classes_.emplace_back(name);
  return static_cast<int>(classes_.size()) - 1;
}

void EncodedImages::add_class(std::string_view name) { class_index(name); }

void EncodedImages::add(std::string_view class_name, std::string name, int64_t offset, int64_t bytes) {
  items_.push_back({std::move(name), class_index(class_name), offset, bytes});
}

void EncodedImages::add_memory(std::string_view class_name, std::string name, std::span<const uint8_t> bytes) {
  add(class_name, std::move(name), memory_bytes(), static_cast<int64_t>(bytes.size()));
  memory_.insert(memory_.end(), bytes.begin(), bytes.end());
}

void EncodedImages::ignore(std::string_view name) {
  if (ignored_++ == 0) first_ignored_ = name;
}

void EncodedImages::finish() {
  if (items_.empty())
    core::fail("{}: holds no images; wanted {}/<class>/*.jpg, .jpeg or .png ({} other files)", place_,
               fmt::join(split_names(split_), "|"), ignored_);
  std::vector<int> order(classes_.size()), rank(classes_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return classes_[a] < classes_[b]; });
  std::vector<std::string> sorted;
  for (size_t i = 0; i < order.size(); ++i) {
    rank[order[i]] = static_cast<int>(i);
    sorted.push_back(classes_[order[i]]);
  }
  classes_ = std::move(sorted);
  std::vector<int64_t> count(classes_.size());
  for (Item& item : items_) ++count[item.label = rank[item.label]];
  for (size_t c = 0; c < count.size(); ++c)
    if (count[c] == 0) core::fail("{}: class folder '{}' holds no images; fill it or remove it", place_, classes_[c]);
  std::sort(items_.begin(), items_.end(),
            [](const Item& a, const Item& b) { return a.label != b.label ? a.label < b.label : a.name < b.name; });
}

std::string EncodedImages::where(int64_t i) const {
  return place_ + (kind_ == Kind::kFiles ? "/" : ": ") + items_[i].name;
}

std::span<const uint8_t> EncodedImages::read(int64_t i, std::vector<uint8_t>& buffer) const {
  const Item& item = items_[i];
  if (kind_ == Kind::kMemory) return {memory_.data() + item.offset, static_cast<size_t>(item.bytes)};
  int fd = fd_;
  int64_t bytes = item.bytes;
  if (kind_ == Kind::kFiles) {
    fd = ::open((place_ + "/" + item.name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) core::fail("{}: cannot read: {}", where(i), std::strerror(errno));
    bytes = ::lseek(fd, 0, SEEK_END);
  }
  struct Closer {
    int fd;
    ~Closer() {
      if (fd >= 0) ::close(fd);
    }
  } closer{kind_ == Kind::kFiles ? fd : -1};
  if (bytes < 0 || bytes > kMaxImageBytes)
    core::fail("{}: has {} bytes; at most {} MiB are accepted for an image; remove it", where(i), bytes,
               kMaxImageBytes >> 20);
  buffer.resize(static_cast<size_t>(bytes));
  for (int64_t got = 0; got < bytes;) {
    const ssize_t n = ::pread(fd, buffer.data() + got, static_cast<size_t>(bytes - got), item.offset + got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) core::fail("{}: cannot read: {}", where(i), std::strerror(errno));
    if (n == 0)
      core::fail("{}: ends at byte {}, wanted {}: the file became shorter while in use", where(i), got, bytes);
    got += n;
  }
  return buffer;
}

std::vector<std::string> EncodedImages::warnings() const {
  if (ignored_ == 0) return {};
  return {fmt::format("{}: {} file{} no .jpg, .jpeg or .png and ignored (first: {})", place_, ignored_,
                      ignored_ == 1 ? " is" : "s are", first_ignored_)};
}

void EncodedImages::release_memory() { std::vector<uint8_t>().swap(memory_); }

}  // namespace fdi::datasets
