#include "datasets/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "core/text.h"

namespace fdi::datasets {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

// A character with the combining accents behind it.
struct Cluster {
  std::string_view base;
  bool accents = false;
};

// Of valid UTF-8. Combining are U+0300..036F, as Latin, Greek and Cyrillic have them, the kana marks U+3099..309A and
// the vowels and finals of Hangul U+1161..11FF: what macOS takes apart.
std::vector<Cluster> clusters(std::string_view text) {
  std::vector<Cluster> out;
  while (!text.empty()) {
    size_t bytes = 1;
    while (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) ++bytes;
    const std::string_view c = text.substr(0, bytes);
    text.remove_prefix(bytes);
    const bool combining = (c >= "\xCC\x80" && c <= "\xCD\xAF") || c == "\xE3\x82\x99" || c == "\xE3\x82\x9A" ||
                           (c >= "\xE1\x85\xA1" && c <= "\xE1\x87\xBF");
    if (combining && !out.empty())
      out.back().accents = true;
    else
      out.push_back({c});
  }
  return out;
}

bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

bool has_image_extension(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.substr(name.rfind('/') + 1).starts_with('.')) return false;
  const std::string extension = lower(name.substr(dot));
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

bool is_hidden_folder(std::string_view name) { return name.starts_with('.') || name == "__MACOSX"; }

std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i) text += (i > 0 ? ", " : "") + core::printable(names[i]);
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

std::string other_format(std::string_view bytes) {
  if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06"))
    return "a zip archive, which is not read; unpack it (unzip FILE) and give the folder, or pack a tar";
  if (bytes.starts_with("7z\xBC\xAF") || bytes.starts_with("Rar!"))
    return "a 7z or rar archive, which is not read; unpack it and give the folder, or pack a tar";
  if (bytes.size() >= 2 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5)
    return "a Python pickle, which is not read; write its images as train/<class>/*.png and test/<class>/*.png";
  if (bytes.starts_with("\x93NUMPY")) return "a NumPy file, which is not read; write its images as files by class";
  if (bytes.starts_with("\x89HDF")) return "an HDF5 file, which is not read; write its images as files by class";
  if (bytes.starts_with("\xFF\xD8\xFF") || bytes.starts_with("\x89PNG"))
    return "a single image; wanted a folder or archive with train/<class>/ and test/<class>/";
  if (bytes.starts_with("<")) return "a page of HTML or XML, not data: a download that failed? fetch the file again";
  if (bytes.starts_with("version https://git-lfs"))
    return "a pointer of Git LFS, not the data; fetch the contents with git lfs pull";
  return {};
}

std::string unread_set(std::string_view path, int64_t bytes) {
  const std::string name = lower(path.substr(path.rfind('/') + 1));
  const auto one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto in_folder = [&](std::string_view folder) {
    return fmt::format("/{}", path).find(folder) != std::string::npos;
  };
  constexpr int64_t kCifar100Record = 2 + 3 * 32 * 32;  // coarse and fine label, pixels
  const bool records = bytes > 0 && bytes % kCifar100Record == 0;
  if (name.starts_with("cifar-100") || in_folder("/cifar-100-") || name == "fine_label_names.txt" ||
      (records && one_of({"train.bin", "test.bin"})))
    return "CIFAR-100, which is not read in its authors' files; write its images as train/<class>/*.png and "
           "test/<class>/*.png";
  if (name.starts_with("cifar-10-python") || one_of({"cifar-10-batches-py", "test_batch", "batches.meta"}) ||
      (name.starts_with("data_batch_") && name.find('.') == std::string::npos))
    return "the Python version of CIFAR-10, which is not read; fetch the binary version: fastdeepiot data download "
           "cifar10";
  if (name.starts_with("cifar-10-matlab") || (name.starts_with("data_batch_") && name.ends_with(".mat")))
    return "the MATLAB version of CIFAR-10, which is not read; fetch the binary version: fastdeepiot data download "
           "cifar10";
  return {};
}

bool is_archive(std::string_view name) {
  const std::string small = lower(name);
  for (const char* ending : {".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip", ".7z", ".rar"})
    if (small.ends_with(ending)) return true;
  return false;
}

bool is_cifar_batch(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "test_batch.bin" || (name.starts_with("data_batch_") && name.ends_with(".bin"));
}

std::string look_alike(std::string_view a, std::string_view b) {
  if (a == b) return {};
  if (lower(a) == lower(b)) return "the two names differ in upper and lower case only";
  if (!core::is_utf8(a) || !core::is_utf8(b)) return {};
  const auto x = clusters(a), y = clusters(b);
  const auto equal = [](const Cluster& c, const Cluster& d) {
    if (c.accents == d.accents) return c.base == d.base;
    // One of the two is taken apart: its base stands before the accents, the other is one character of its own.
    return !ascii((c.accents ? d : c).base);
  };
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), equal)
             ? "the two names may look equal, but are of different Unicode forms (NFC and NFD: macOS stores an accent "
               "as "
               "a character of its own)"
             : "";
}

}  // namespace fdi::datasets
