// See the header.
#include "datasets/open.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "datasets/cifar_binary.h"
#include "datasets/image_scan.h"
#include "datasets/names.h"
#include "datasets/subset.h"
#include "datasets/synthetic.h"

namespace fdi::datasets {
namespace {

namespace fs = std::filesystem;
constexpr const char* kArchiveSuffixes[] = {".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar.zst"};
constexpr const char* kCifarArchive = "cifar-10-binary.tar.gz";
constexpr const char* kCifarFolder = "cifar-10-batches-bin";

bool is_synthetic(const std::string& name) { return name == "synthetic" || name.starts_with("synthetic:"); }

// For places that the program tries by itself, errors of the file system (no permission, a name too long) count as "is
// not there". A path that the user gave goes through core::path_exists() and core::is_folder(), which throw them.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}
bool is_folder_there(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// What a folder offers for a split: a path and how to read it, or "".
struct Found {
  enum Kind { kNothing, kCifarFiles, kCifarTar, kImageTar, kImageFolder } kind = kNothing;
  std::string path;
};

Found find_split(const fs::path& folder, Split split) {
  for (const fs::path& f : {folder, folder / kCifarFolder})
    if (holds_cifar_files(f.string())) return {Found::kCifarFiles, f.string()};
  if (is_there(folder / kCifarArchive)) return {Found::kCifarTar, (folder / kCifarArchive).string()};
  Found unlabelled;  // a test split published without labels, as ILSVRC's and tiny-imagenet's; val has some
  for (const std::string name : split_names(split)) {
    if (is_folder_there(folder / name)) {
      Found found{Found::kImageFolder, (folder / name).string()};
      if (split == Split::kTrain || has_classes(found.path)) return found;
      if (unlabelled.kind == Found::kNothing) unlabelled = found;
    }
    for (const char* suffix : kArchiveSuffixes)
      if (is_there(folder / (name + suffix))) return {Found::kImageTar, (folder / (name + suffix)).string()};
  }
  return unlabelled;
}

bool is_data_folder(const fs::path& folder) {
  return find_split(folder, Split::kTrain).kind != Found::kNothing ||
         find_split(folder, Split::kTest).kind != Found::kNothing;
}

// The name that a split's folder should have where it has a similar one ("Train", "testing"), or "".
std::string split_meant(const std::string& folder) {
  std::string name = folder;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name.ends_with("ing")) name.resize(name.size() - 3);
  for (const Split split : {Split::kTrain, Split::kTest})
    if (std::ranges::find(split_names(split), name) != split_names(split).end()) return name == folder ? "" : name;
  return {};
}

// What a folder without a split holds instead, and what to do: "; ...", or "".
std::string hint(const std::string& folder) {
  std::vector<std::string> archives, classes, sets, renames;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    const auto bytes = it->is_regular_file(ignored) ? static_cast<int64_t>(it->file_size(ignored)) : -1;
    if (const std::string set = unread_set(name, bytes); !set.empty()) return "; this is " + set;
    if (const std::string split = split_meant(name); it->is_directory(ignored) && !split.empty()) {
      renames.push_back(fmt::format("{} to {}", core::printable(name), split));
    } else if (it->is_directory(ignored) && is_data_folder(it->path())) {
      sets.push_back(it->path().string());
    } else if (it->is_directory(ignored) && !is_hidden_folder(name)) {
      for (fs::directory_iterator file(it->path(), ignored), last; !ignored && file != last; file.increment(ignored))
        if (has_image_extension(file->path().filename().string())) {
          classes.push_back(name);
          break;
        }
    } else if (is_archive(name)) {
      archives.push_back(name);
    }
  }
  if (error) return fmt::format("; it cannot be looked into: {}", error.message());
  for (auto* names : {&archives, &classes, &sets, &renames}) std::sort(names->begin(), names->end());
  if (!renames.empty()) return fmt::format("; rename {}", fmt::join(renames, " and "));
  if (!sets.empty()) return fmt::format("; its folder {} holds some: give that with --data", list_of(sets));
  const fs::path above = fs::absolute(fs::path(folder) / "..", error).lexically_normal();
  if (!classes.empty() && is_data_folder(above))
    return fmt::format("; it is one split of a set: give {} with --data", above.string());
  if (!classes.empty())
    return fmt::format("; its folders with images ({}) are no splits: put them into train/ and test/",
                       list_of(classes));
  if (!archives.empty()) return fmt::format("; it holds {}: give one with --data, or unpack it", list_of(archives));
  return {};
}

DatasetPtr open_found(const std::string& path, Split split, const ImageOptions& options) {
  if (!core::is_folder(path)) {
    const Source file(path);
    return fs::path(path).filename() == kCifarArchive ? open_cifar_archive(file, split)
                                                      : open_image_archive(file, split, options);
  }
  const Found found = find_split(path, split);
  switch (found.kind) {
    case Found::kCifarFiles:
      return open_cifar_folder(found.path, split);
    case Found::kCifarTar:
      return open_cifar_archive(Source(found.path), split);
    case Found::kImageTar:
      return open_image_archive(Source(found.path), split, options);
    case Found::kImageFolder:
      return open_image_folder(found.path, split, options);
    case Found::kNothing:
      break;
  }
  const std::string names = fmt::format("{}", fmt::join(split_names(split), "|"));
  core::fail(
      "{}: holds no {} data; looked for ({})/<class>/*.jpg|jpeg|png, ({}).tar[.gz|.xz|.bz2|.zst], {}/*.bin and {}{}",
      path, split_names(split)[0], names, names, kCifarFolder, kCifarArchive, hint(path));
}

}  // namespace

Located locate(const std::string& name) {
  if (name.empty()) core::fail("--data is empty; give a name such as cifar10, a path, or synthetic");
  if (is_synthetic(name)) return {name, "built in"};
  const auto checked = [](const std::string& path, const std::string& how) -> Located {
    if (!core::is_utf8(path))
      core::fail(
          "data '{}': the path is no UTF-8, which a model file cannot hold; rename the folder, or give a symbolic "
          "link to it",
          core::printable(path));
    return {path, how};
  };
  const auto root_or_set = [](const fs::path& path) {
    const bool root = core::is_folder(path) && !is_data_folder(path) && is_there(path / "cifar10");
    return (root ? path / "cifar10" : path).string();
  };
  std::vector<std::string> searched{name};
  if (core::path_exists(name)) return checked(root_or_set(name), "--data");
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
        if (is_there(path)) return checked(path.string(), how);
      }
      searched.push_back((fs::path(root) / name).string());
    }
  core::fail(
      "data '{}' not found; looked for {}; give --data a path, run `fastdeepiot data download cifar10`, or use "
      "--data synthetic",
      name, fmt::join(searched, ", "));
}

bool has_split(const std::string& path, Split split) {
  return is_synthetic(path) || !core::is_folder(path) || find_split(path, split).kind != Found::kNothing;
}

DatasetPtr open_dataset(const std::string& path, Split split, const ImageOptions& options) {
  if (is_synthetic(path)) {
    SyntheticOptions synthetic = parse_synthetic(path);
    if (options.height > 0) synthetic.height = options.height, synthetic.width = options.width;
    return make_synthetic(synthetic, split);
  }
  if (!core::path_exists(path)) core::fail("{}: no such file or folder; check --data", path);
  DatasetPtr images = open_found(path, split, options);
  if (options.height > 0 && images->image_shape() != core::Shape{options.height, options.width, 3})
    core::fail("{}: CIFAR-10's binary images are 32 x 32, wanted {} x {}; leave the image size out", images->source(),
               options.height, options.width);
  return images;
}

void check_same_classes(const std::vector<std::string>& got, const std::string& got_where,
                        const std::vector<std::string>& wanted, const std::string& wanted_where) {
  if (got == wanted) return;
  check_known_classes(got, got_where, wanted, wanted_where);
  check_known_classes(wanted, wanted_where, got, got_where);
  core::fail("{} and {} have the same classes in another order; both must list them alike", got_where, wanted_where);
}

std::pair<DatasetPtr, DatasetPtr> open_train_and_test(const std::string& path, const ImageOptions& options) {
  DatasetPtr train = open_dataset(path, Split::kTrain, options), test = open_dataset(path, Split::kTest, options);
  test = with_classes(test, train->classes(), train->source());
  if (test->image_shape() != train->image_shape())
    core::fail("{} has images of {}, but {} of {}; give one size for all with --image-size", test->source(),
               core::to_string(test->image_shape()), train->source(), core::to_string(train->image_shape()));
  return {train, test};
}

}  // namespace fdi::datasets
