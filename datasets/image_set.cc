// ImageSet: decodes what a scan (image_scan.h) has found.
#include "datasets/image_set.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "core/text.h"
#include "core/threads.h"
#include "datasets/cifar_binary.h"
#include "datasets/encoded_images.h"
#include "datasets/image.h"
#include "datasets/image_scan.h"
#include "datasets/names.h"

namespace fdi::datasets {
namespace {

// Calls f(i) for i in [0, n) on several threads. Another exception than core::Error ends it and is rethrown; returned
// are the errors, by i.
template <class F>
std::map<int64_t, std::string> parallel_for(int64_t n, const F& f) {
  constexpr int64_t kChunk = 64;
  std::atomic<int64_t> next{0};
  std::mutex mutex;  // guards the two below
  std::map<int64_t, std::string> errors;
  std::exception_ptr fatal;
  const auto work = [&] {
    for (int64_t begin; (begin = next.fetch_add(kChunk)) < n;)
      for (int64_t i = begin; i < std::min(n, begin + kChunk); ++i) {
        try {
          f(i);
        } catch (const core::Error& e) {
          const std::lock_guard lock(mutex);
          errors.emplace(i, e.what());
        } catch (...) {
          const std::lock_guard lock(mutex);
          fatal = std::current_exception();
          next = n;
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
  if (fatal) std::rethrow_exception(fatal);
  return errors;
}

class ImageSet : public Dataset {
 public:
  ImageSet(std::unique_ptr<EncodedImages> images, const ImageOptions& options)
      : images_(std::move(images)), fit_(options.height > 0) {
    if (options.height < 0 || options.width < 0 || (options.height > 0) != (options.width > 0))
      core::fail("image size {} x {}: wanted two positive numbers, or none", options.height, options.width);
    shape_ = {options.height, options.width, 3};
    std::map<int64_t, std::string> unusable;  // of the images before the first one that can be read
    if (!fit_) unusable = take_size_of_first();
    if (shape_.size() > options.memory_bytes / images_->size()) {
      if (!unusable.empty()) fail_all(unusable);
      return;
    }
    std::vector<uint8_t> pixels(static_cast<size_t>(shape_.size() * images_->size()));
    const auto errors = parallel_for(images_->size(), [&](int64_t i) {
      if (!decode(i, {pixels.data() + i * shape_.size(), static_cast<size_t>(shape_.size())})) return;
      const std::lock_guard lock(mutex_);
      without_end_.insert(i);
    });
    if (!errors.empty()) fail_all(errors);
    pixels_ = std::move(pixels);
    images_->release_memory();
  }
  int64_t size() const override { return images_->size(); }
  const std::vector<std::string>& classes() const override { return images_->classes(); }
  core::Shape image_shape() const override { return shape_; }
  int label(int64_t index) const override { return images_->label(index); }
  void image(int64_t index, std::span<uint8_t> out) const override {
    if (!pixels_.empty()) {
      std::copy_n(pixels_.data() + index * shape_.size(), shape_.size(), out.data());
    } else if (decode(index, out)) {
      const std::lock_guard lock(mutex_);
      without_end_.insert(index);
    }
  }
  std::string source() const override {
    const bool cifar = classes() == cifar_classes() && shape_ == core::Shape{32, 32, 3};
    return fmt::format("{} {} from {}{}", cifar ? "CIFAR-10 (JPEG)" : "images,", split_names(images_->split())[0],
                       images_->place(), pixels_.empty() ? ", decoded on demand" : "");
  }
  std::string name(int64_t index) const override {
    const std::string& file = images_->name(index);
    return fmt::format("{}/{}", classes()[static_cast<size_t>(label(index))], file.substr(file.rfind('/') + 1));
  }
  std::vector<std::string> warnings() const override {
    std::vector<std::string> all = images_->warnings();
    const std::lock_guard lock(mutex_);
    if (!without_end_.empty())
      all.push_back(fmt::format("{}: {} JPEG file{} no end mark, but all pixels (first: {})", images_->place(),
                                without_end_.size(), without_end_.size() == 1 ? " has" : "s have",
                                core::printable(images_->name(*without_end_.begin()))));
    return all;
  }

 private:
  // Of the first one that can be read; the others must be as large. Returns the errors of those before it.
  std::map<int64_t, std::string> take_size_of_first() {
    std::vector<uint8_t> buffer;
    std::map<int64_t, std::string> errors;
    for (first_ = 0; first_ < images_->size(); ++first_) try {
        const Image image = decode_image(images_->read(first_, buffer), images_->where(first_));
        shape_ = {image.height, image.width, 3};
        return errors;
      } catch (const core::Error& e) {
        errors.emplace(first_, e.what());
      }
    fail_all(errors);
  }
  [[noreturn]] void fail_all(const std::map<int64_t, std::string>& errors) const {
    std::vector<std::string> others;
    for (auto e = std::next(errors.begin()); e != errors.end(); ++e) others.push_back(images_->name(e->first));
    if (others.empty()) core::fail("{}", errors.begin()->second);
    core::fail("{}; and {} other{} of {} images cannot be used: {}", errors.begin()->second, others.size(),
               others.size() == 1 ? "" : "s", images_->size(), list_of(others));
  }
  // Returns whether the image lacks its end mark.
  bool decode(int64_t i, std::span<uint8_t> out) const {
    thread_local std::vector<uint8_t> buffer;
    const Image image =
        decode_image(images_->read(i, buffer), images_->where(i), fit_ ? std::max(shape_[0], shape_[1]) : 0);
    if (!fit_ && (image.height != shape_[0] || image.width != shape_[1]))
      core::fail("{}: is {} x {} pixels, but {} is {} x {}; give one size for all with --image-size", images_->where(i),
                 image.width, image.height, images_->where(first_), shape_[1], shape_[0]);
    fit_image(image, shape_[0], shape_[1], out);
    return image.no_end_mark;
  }

  std::unique_ptr<EncodedImages> images_;
  bool fit_;
  core::Shape shape_;
  int64_t first_ = 0;                      // the image whose size the others must have
  mutable std::mutex mutex_;               // guards the next one while images are decoded
  mutable std::set<int64_t> without_end_;  // JPEGs without end mark, of the images decoded so far
  std::vector<uint8_t> pixels_;            // (image, height, width, 3), or empty: decode on demand
};

}  // namespace

DatasetPtr open_image_folder(const std::string& split_folder, Split split, const ImageOptions& options) {
  return std::make_shared<ImageSet>(scan_folder(split_folder, split), options);
}

DatasetPtr open_image_archive(const Source& archive, Split split, const ImageOptions& options) {
  auto images = scan_archive(archive, split, options.memory_bytes);
  if (images == nullptr) return open_cifar_archive(archive, split);
  return std::make_shared<ImageSet>(std::move(images), options);
}

}  // namespace fdi::datasets
