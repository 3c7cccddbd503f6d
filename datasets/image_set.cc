// ImageSet, and the two scans that fill it: of a folder and of a tar.
#include "datasets/image_set.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "core/threads.h"
#include "datasets/cifar_binary.h"
#include "datasets/encoded_images.h"
#include "datasets/image.h"

namespace fdi::datasets {
namespace {

namespace fs = std::filesystem;
using Kind = EncodedImages::Kind;

// Calls f(i) for i in [0, n) on several threads; afterwards rethrows the error of the lowest failing i.
template <class F>
void parallel_for(int64_t n, const F& f) {
  constexpr int64_t kChunk = 64;
  std::atomic<int64_t> next{0}, failed{n};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    for (int64_t begin; (begin = next.fetch_add(kChunk)) < n;)
      for (int64_t i = begin; i < std::min(n, begin + kChunk) && i < failed; ++i) {
        try {
          f(i);
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (i < failed) {
            failed = i;
            error = std::current_exception();
          }
          break;
        }
      }
  };
  const auto count = std::min<int64_t>(core::threads(), (n + kChunk - 1) / kChunk);
  std::vector<std::jthread> threads;
  try {
    for (int64_t t = 1; t < count; ++t) threads.emplace_back(work);
  } catch (const std::system_error&) {  // no more threads are allowed: those that are there do it
  }
  work();
  threads.clear();  // joins
  if (error) std::rethrow_exception(error);
}

class ImageSet : public Dataset {
 public:
  ImageSet(std::unique_ptr<EncodedImages> images, const ImageOptions& options)
      : images_(std::move(images)), fit_(options.height > 0) {
    if (options.height < 0 || options.width < 0 || (options.height > 0) != (options.width > 0))
      core::fail("image size {} x {}: wanted two positive numbers, or none", options.height, options.width);
    shape_ = {options.height, options.width, 3};
    if (!fit_) {
      std::vector<uint8_t> buffer;
      const Image first = decode_image(images_->read(0, buffer), images_->where(0));
      shape_ = {first.height, first.width, 3};
    }
    if (shape_.size() <= options.memory_bytes / images_->size()) {
      std::vector<uint8_t> pixels(static_cast<size_t>(shape_.size() * images_->size()));
      parallel_for(images_->size(), [&](int64_t i) {
        decode(i, {pixels.data() + i * shape_.size(), static_cast<size_t>(shape_.size())});
      });
      pixels_ = std::move(pixels);
      images_->release_memory();
    }
  }
  int64_t size() const override { return images_->size(); }
  const std::vector<std::string>& classes() const override { return images_->classes(); }
  core::Shape image_shape() const override { return shape_; }
  int label(int64_t index) const override { return images_->label(index); }
  void image(int64_t index, std::span<uint8_t> out) const override {
    if (pixels_.empty()) return decode(index, out);
    std::copy_n(pixels_.data() + index * shape_.size(), shape_.size(), out.data());
  }
  std::string source() const override {
    const bool cifar = classes() == cifar_classes() && shape_ == core::Shape{32, 32, 3};
    return fmt::format("{} {} from {}{}", cifar ? "CIFAR-10 (JPEG)" : "images,", split_names(images_->split())[0],
                       images_->place(), pixels_.empty() ? ", decoded on demand" : "");
  }
  std::vector<std::string> warnings() const override { return images_->warnings(); }

 private:
  void decode(int64_t i, std::span<uint8_t> out) const {
    thread_local std::vector<uint8_t> buffer;
    const Image image =
        decode_image(images_->read(i, buffer), images_->where(i), fit_ ? std::max(shape_[0], shape_[1]) : 0);
    if (!fit_ && (image.height != shape_[0] || image.width != shape_[1]))
      core::fail("{}: is {} x {} pixels, but {} is {} x {}; give one size for all with --image-size", images_->where(i),
                 image.width, image.height, images_->where(0), shape_[1], shape_[0]);
    fit_image(image, shape_[0], shape_[1], out);
  }

  std::unique_ptr<EncodedImages> images_;
  bool fit_;
  core::Shape shape_;
  std::vector<uint8_t> pixels_;  // (image, height, width, 3), or empty: decode on demand
};

// "a/train/cat/1.jpg" for split train -> class "cat"; empty where the member belongs to another split.
std::string_view class_of_member(std::string_view name, Split split, bool bare) {
  const size_t file = name.rfind('/');
  if (file == std::string_view::npos || file == 0) return {};
  const size_t folder = name.rfind('/', file - 1);
  if (folder == std::string_view::npos) return bare ? name.substr(0, file) : std::string_view{};
  const std::string_view parent = name.substr(0, folder);
  for (const char* wanted : split_names(split))
    if (parent.substr(parent.rfind('/') + 1) == wanted) return name.substr(folder + 1, file - folder - 1);
  return {};
}

DatasetPtr read_archive(std::span<const uint8_t> archive, const std::string& where, Kind kind, Split split,
                        const ImageOptions& options) {
  const std::string stem = fs::path(where).filename().string();
  const auto names = split_names(split);
  const bool bare = std::any_of(names.begin(), names.end(),
                                [&](const char* name) { return stem.starts_with(fmt::format("{}.tar", name)); });
  auto images = std::make_unique<EncodedImages>(kind, where, split);
  ArchiveLimits limits;
  limits.member_bytes = kMaxImageBytes;
  for_each_member(archive, where, limits, [&](const Member& m) {
    const std::string_view class_name = class_of_member(m.name, split, bare);
    if (class_name.empty()) return;
    if (!m.regular || !has_image_extension(m.name)) return images->ignore(m.name);
    const auto bytes = m.read();
    const bool in_place = bytes.data() >= archive.data() && bytes.data() < archive.data() + archive.size();
    if (kind == Kind::kOneFile && in_place)
      return images->add(class_name, m.name, bytes.data() - archive.data(), m.bytes);
    if (kind == Kind::kOneFile)
      core::fail("{}: member '{}' is stored with gaps (sparse); make the archive again without", where, m.name);
    if (images->memory_bytes() + m.bytes > options.memory_bytes)
      core::fail(
          "{}: holds more than {} MiB of images, too many to keep; unpack it, or use a plain .tar, read in place",
          where, options.memory_bytes >> 20);
    images->add_memory(class_name, m.name, bytes);
  });
  images->finish();
  return std::make_shared<ImageSet>(std::move(images), options);
}

bool is_plain_tar(std::span<const uint8_t> data) {
  return data.size() >= 262 && std::equal(data.begin() + 257, data.begin() + 262, "ustar");
}

}  // namespace

DatasetPtr open_image_archive(const std::string& path, Split split, const ImageOptions& options) {
  const MappedFile file(path);
  return read_archive(file.bytes(), path, is_plain_tar(file.bytes()) ? Kind::kOneFile : Kind::kMemory, split, options);
}

DatasetPtr open_image_archive(std::span<const uint8_t> archive, const std::string& where, Split split,
                              const ImageOptions& options) {
  return read_archive(archive, where, Kind::kMemory, split, options);
}

DatasetPtr open_image_folder(const std::string& split_folder, Split split, const ImageOptions& options) {
  auto images = std::make_unique<EncodedImages>(Kind::kFiles, split_folder, split);
  try {
    for (const auto& folder : fs::directory_iterator(split_folder)) {
      const std::string class_name = folder.path().filename().string();
      if (!folder.is_directory()) {
        images->ignore(class_name);
        continue;
      }
      images->add_class(class_name);
      for (const auto& file : fs::directory_iterator(folder.path())) {
        const std::string name = class_name + "/" + file.path().filename().string();
        if (file.is_regular_file() && has_image_extension(name))
          images->add(class_name, name, 0, 0);
        else
          images->ignore(name);
      }
    }
  } catch (const fs::filesystem_error& e) {
    core::fail("{}: cannot read the folder: {}; check the path and its rights", split_folder, e.code().message());
  }
  images->finish();
  return std::make_shared<ImageSet>(std::move(images), options);
}

}  // namespace fdi::datasets
