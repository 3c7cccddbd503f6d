// See the header. The planes are turned into rows of RGB once, when the files are read.
#include "datasets/cifar_binary.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <sstream>
#include <string_view>

#include "core/error.h"
#include "core/file.h"
#include "datasets/archive.h"

namespace fdi::datasets {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kPixels = 1024, kImageBytes = 3 * kPixels, kRecordBytes = 1 + kImageBytes;
constexpr const char* kMeta = "batches.meta.txt";

std::vector<std::string> batch_files(Split split) {
  if (split == Split::kTest) return {"test_batch.bin"};
  return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
}

std::vector<std::string> parse_classes(std::string_view text, const std::string& where) {
  std::vector<std::string> classes;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) classes.push_back(line);
  }
  if (classes.size() != 10)
    core::fail("{}: lists {} classes; wanted CIFAR-10's 10, one a line; fetch the file again", where, classes.size());
  return classes;
}

class CifarBinary : public Dataset {
 public:
  CifarBinary(std::string place, Split split) : place_(std::move(place)), split_(split) {}

  void append(std::span<const uint8_t> bytes, const std::string& where) {
    const auto size = static_cast<int64_t>(bytes.size());
    constexpr int64_t kHundred = kRecordBytes + 1;  // CIFAR-100: two labels
    if (size > 0 && size % kRecordBytes != 0 && size % kHundred == 0)
      core::fail(
          "{}: has {} bytes, {} records of CIFAR-100 ({} bytes, with two labels), which is not read; fetch "
          "CIFAR-10: fastdeepiot data download cifar10",
          where, size, size / kHundred, kHundred);
    if (size == 0 || size % kRecordBytes != 0)
      core::fail("{}: has {} bytes, which is no multiple of {}: record {} is cut off at byte {}; fetch the file again",
                 where, size, kRecordBytes, size / kRecordBytes, size);
    for (int64_t r = 0; r < size / kRecordBytes; ++r) {
      const uint8_t* record = bytes.data() + r * kRecordBytes;
      if (record[0] > 9)
        core::fail("{}: record {} (byte {}) has label {}; wanted 0 to 9; fetch the file again", where, r,
                   r * kRecordBytes, record[0]);
      labels_.push_back(record[0]);
      const size_t base = pixels_.size();
      pixels_.resize(base + kImageBytes);
      for (int64_t p = 0; p < kPixels; ++p)
        for (int64_t c = 0; c < 3; ++c) pixels_[base + 3 * p + c] = record[1 + c * kPixels + p];
    }
  }
  void warn(std::string text) { warning_ = std::move(text); }
  void set_classes(std::vector<std::string> classes) { classes_ = std::move(classes); }

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  const std::vector<std::string>& classes() const override { return classes_; }
  core::Shape image_shape() const override { return {32, 32, 3}; }
  int label(int64_t index) const override { return labels_[index]; }
  void image(int64_t index, std::span<uint8_t> out) const override {
    std::copy_n(pixels_.data() + index * kImageBytes, kImageBytes, out.data());
  }
  std::string source() const override {
    return fmt::format("CIFAR-10 {} from {}", split_ == Split::kTrain ? "train" : "test", place_);
  }
  std::vector<std::string> warnings() const override {
    return warning_.empty() ? std::vector<std::string>{} : std::vector{warning_};
  }

 private:
  std::string place_, warning_;
  Split split_;
  std::vector<std::string> classes_ = cifar_classes();
  std::vector<uint8_t> labels_, pixels_;
};

}  // namespace

const std::vector<std::string>& cifar_classes() {
  static const std::vector<std::string> names{"airplane", "automobile", "bird",  "cat",  "deer",
                                              "dog",      "frog",       "horse", "ship", "truck"};
  return names;
}

bool holds_cifar_files(const std::string& folder) {
  std::error_code error;  // a folder that may not be read holds nothing
  return fs::exists(fs::path(folder) / "data_batch_1.bin", error) ||
         fs::exists(fs::path(folder) / "test_batch.bin", error);
}

DatasetPtr open_cifar_folder(const std::string& folder, Split split) {
  auto set = std::make_shared<CifarBinary>(folder, split);
  std::vector<uint8_t> buffer;
  for (const std::string& name : batch_files(split)) {
    const std::string path = (fs::path(folder) / name).string();
    const Source file(path);
    set->append(file.read(0, file.size(), buffer), path);
  }
  const std::string meta = (fs::path(folder) / kMeta).string();
  if (std::error_code error; fs::exists(meta, error))
    set->set_classes(parse_classes(core::read_file(meta, 64 << 10), meta));
  return set;
}

DatasetPtr open_cifar_archive(const Source& archive, Split split) {
  const std::string& where = archive.where();
  auto set = std::make_shared<CifarBinary>(where, split);
  const auto wanted = batch_files(split);
  struct File {
    std::string member;
    std::vector<uint8_t> bytes;
  };
  std::map<std::string, File> found;  // ordered: data_batch_1 before data_batch_2
  set->warn(for_each_member(archive, {}, [&](const Member& m) {
    const std::string name = m.name.substr(m.name.rfind('/') + 1);
    if (m.type != Member::Type::kFile) return;
    if (name == kMeta) {
      const auto text = m.read();
      set->set_classes(parse_classes({reinterpret_cast<const char*>(text.data()), text.size()}, where + ": " + m.name));
    } else if (std::find(wanted.begin(), wanted.end(), name) != wanted.end()) {
      const auto bytes = m.read();
      File& file = found[name];  // of members with one name the last one counts
      if (!file.member.empty() && file.member != m.name)
        core::fail("{}: holds {} twice (again as '{}'); make the archive again", where, name, m.name);
      file = {m.name, {bytes.begin(), bytes.end()}};
    }
  }));
  for (const std::string& name : wanted)
    if (!found.contains(name)) core::fail("{}: holds no {}; wanted CIFAR-10's binary version", where, name);
  for (const auto& [name, file] : found) set->append(file.bytes, fmt::format("{}: {}", where, name));
  return set;
}

}  // namespace fdi::datasets
