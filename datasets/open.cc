// See the header.
#include "datasets/open.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "datasets/cifar_binary.h"
#include "datasets/synthetic.h"

namespace fdi::datasets {
namespace {

namespace fs = std::filesystem;
constexpr const char* kArchiveSuffixes[] = {".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar.zst"};
constexpr const char* kCifarArchive = "cifar-10-binary.tar.gz";
constexpr const char* kCifarFolder = "cifar-10-batches-bin";

bool is_synthetic(const std::string& name) { return name == "synthetic" || name.starts_with("synthetic:"); }

bool is_there(const fs::path& path) { return core::path_exists(path); }
bool is_folder(const fs::path& path) { return core::is_folder(path); }

// What a folder offers for a split: a path and how to read it, or "".
struct Found {
  enum Kind { kNothing, kCifarFiles, kCifarTar, kImageTar, kImageFolder } kind = kNothing;
  std::string path;
};

Found find_split(const fs::path& folder, Split split) {
  for (const fs::path& f : {folder, folder / kCifarFolder})
    if (holds_cifar_files(f.string())) return {Found::kCifarFiles, f.string()};
  if (is_there(folder / kCifarArchive)) return {Found::kCifarTar, (folder / kCifarArchive).string()};
  for (const std::string name : split_names(split)) {
    if (is_folder(folder / name)) return {Found::kImageFolder, (folder / name).string()};
    for (const char* suffix : kArchiveSuffixes)
      if (is_there(folder / (name + suffix))) return {Found::kImageTar, (folder / (name + suffix)).string()};
  }
  return {};
}

bool is_data_folder(const fs::path& folder) {
  return find_split(folder, Split::kTrain).kind != Found::kNothing ||
         find_split(folder, Split::kTest).kind != Found::kNothing;
}

}  // namespace

Located locate(const std::string& name) {
  if (name.empty()) core::fail("--data is empty; give a name such as cifar10, a path, or synthetic");
  if (is_synthetic(name)) return {name, "built in"};
  const auto root_or_set = [](const fs::path& path) {
    const bool root = is_folder(path) && !is_data_folder(path) && is_there(path / "cifar10");
    return (root ? path / "cifar10" : path).string();
  };
  std::vector<std::string> searched{name};
  if (is_there(name)) return {root_or_set(name), "--data"};
  std::vector<std::pair<std::string, std::string>> roots;
  if (const char* data = std::getenv("FASTDEEPIOT_DATA"); data != nullptr && *data != '\0')
    roots.emplace_back(data, "$FASTDEEPIOT_DATA");
  roots.emplace_back("../shared/data", "../shared/data");
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    roots.emplace_back(std::string(home) + "/.cache/fastdeepiot", "~/.cache/fastdeepiot");
  if (!name.starts_with('/'))
    for (const auto& [root, how] : roots) {
      // The variable may name the set itself: FASTDEEPIOT_DATA=/sets/cifar10, --data cifar10.
      for (const fs::path& path : {fs::path(root) / name, fs::path(root)}) {
        if (path == fs::path(root) && (path.filename() != name || !is_data_folder(path))) continue;
        if (std::error_code error; fs::exists(path, error)) return {path.string(), how};  // not asked for by its path
      }
      searched.push_back((fs::path(root) / name).string());
    }
  core::fail(
      "data '{}' not found; looked for {}; give --data a path, run `fastdeepiot data download cifar10`, or use "
      "--data synthetic",
      name, fmt::join(searched, ", "));
}

bool has_split(const std::string& path, Split split) {
  return is_synthetic(path) || !is_folder(path) || find_split(path, split).kind != Found::kNothing;
}

DatasetPtr open_dataset(const std::string& path, Split split, const ImageOptions& options) {
  if (is_synthetic(path)) {
    SyntheticOptions synthetic = parse_synthetic(path);
    if (options.height > 0) synthetic.height = options.height, synthetic.width = options.width;
    return make_synthetic(synthetic, split);
  }
  if (!is_there(path)) core::fail("{}: no such file or folder; check --data", path);
  if (!is_folder(path)) {
    const std::string file = fs::path(path).filename().string();
    return file == kCifarArchive ? open_cifar_archive(path, split) : open_image_archive(path, split, options);
  }
  const Found found = find_split(path, split);
  const auto fits_cifar = [&] {
    if (options.height > 0 && (options.height != 32 || options.width != 32))
      core::fail("{}: CIFAR-10's binary images are 32 x 32, wanted {} x {}; leave the image size out", found.path,
                 options.height, options.width);
  };
  switch (found.kind) {
    case Found::kCifarFiles:
      fits_cifar();
      return open_cifar_folder(found.path, split);
    case Found::kCifarTar:
      fits_cifar();
      return open_cifar_archive(found.path, split);
    case Found::kImageTar:
      return open_image_archive(found.path, split, options);
    case Found::kImageFolder:
      return open_image_folder(found.path, split, options);
    case Found::kNothing:
      break;
  }
  const std::string names = fmt::format("{}", fmt::join(split_names(split), "|"));
  core::fail(
      "{}: holds no {} data; looked for ({})/<class>/*.jpg|jpeg|png, ({}).tar[.gz|.xz|.bz2|.zst], {}/*.bin and {}",
      path, split_names(split)[0], names, names, kCifarFolder, kCifarArchive);
}

void check_same_classes(const std::vector<std::string>& got, const std::string& got_where,
                        const std::vector<std::string>& wanted, const std::string& wanted_where) {
  if (got == wanted) return;
  for (const std::string& name : got)
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end())
      core::fail("class '{}' is in {} but not in {}; both must have the same classes", name, got_where, wanted_where);
  for (const std::string& name : wanted)
    if (std::find(got.begin(), got.end(), name) == got.end())
      core::fail("class '{}' is in {} but not in {}; both must have the same classes", name, wanted_where, got_where);
  core::fail("{} and {} have the same classes in another order; both must list them alike", got_where, wanted_where);
}

std::pair<DatasetPtr, DatasetPtr> open_train_and_test(const std::string& path, const ImageOptions& options) {
  DatasetPtr train = open_dataset(path, Split::kTrain, options), test = open_dataset(path, Split::kTest, options);
  check_same_classes(test->classes(), test->source(), train->classes(), train->source());
  if (test->image_shape() != train->image_shape())
    core::fail("{} has images of {}, but {} of {}; give one size for all with --image-size", test->source(),
               core::to_string(test->image_shape()), train->source(), core::to_string(train->image_shape()));
  return {train, test};
}

}  // namespace fdi::datasets
