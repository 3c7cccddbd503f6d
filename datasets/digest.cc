#include "datasets/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace fdi::datasets {
namespace {

class Sum {
 public:
  Sum() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
      core::fail_as(core::ErrorCode::kSystem, "OpenSSL offers no SHA-256, by which images are told apart");
  }
  void add(std::span<const uint8_t> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  void add(std::string_view text) { EVP_DigestUpdate(context_.get(), text.data(), text.size()); }
  std::string take() {
    unsigned char sum[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(context_.get(), sum, nullptr);
    std::string text;
    for (int i = 0; i < 12; ++i) text += fmt::format("{:02x}", sum[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

Digest digest(const Dataset& images) {
  Sum names, contents;
  for (const std::string& name : images.classes()) names.add(fmt::format("{}\n", name));
  for (int64_t i = 0; i < images.size(); ++i) names.add(fmt::format("{} {}\n", images.label(i), images.name(i)));
  constexpr int64_t kMost = 256;
  const int64_t used = std::min(kMost, images.size());
  std::vector<uint8_t> pixels(static_cast<size_t>(images.image_shape().size()));
  for (int64_t k = 0; k < used; ++k) {
    images.image(k * images.size() / used, pixels);
    contents.add(pixels);
  }
  return {images.size(), names.take(), contents.take()};
}

std::string difference(const Digest& before, const Digest& now) {
  if (now.images != before.images) return fmt::format("had {} images, now {}", before.images, now.images);
  if (now.names != before.names) return fmt::format("{} images as before, but of other names or classes", now.images);
  if (now.contents != before.contents)
    return fmt::format(
        "{} images of the same names as before, but of other contents (folders exchanged? files replaced? another JPEG "
        "library?)",
        now.images);
  return {};
}

bool only_contents_differ(const Digest& before, const Digest& now) {
  return now.images == before.images && now.names == before.names && now.contents != before.contents;
}

}  // namespace fdi::datasets
