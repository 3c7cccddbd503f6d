#include "cli/run_folder.h"

#include <filesystem>

#include "cli/options.h"
#include "core/error.h"

namespace fdi::cli {

namespace fs = std::filesystem;

RunFolder::RunFolder(const std::string& path, bool resume, const char* first) : path_(path) {
  const bool held = has(first) || fs::exists(model());
  if (held && !resume)
    core::fail(
        "--out {}: holds a run already; choose another folder, or add --resume to go on with one that was stopped",
        path);
  if (!has(first) && resume)
    core::fail("--resume: {} is not there; leave out --resume to start a new run", file(first));
  check_place();
}

void RunFolder::make() const {
  std::error_code error;
  fs::create_directories(path_, error);
  if (!fs::is_directory(path_, error))
    core::fail("--out {}: cannot make this folder: {}", path_, error ? error.message() : "a file is in the way");
  check_writable(model());
}

std::string RunFolder::file(const char* name) const { return (fs::path(path_) / name).string(); }
bool RunFolder::has(const char* name) const { return fs::exists(file(name)); }

// Files can be made where the folder is or will be: said before the images are read.
void RunFolder::check_place() const {
  std::error_code error;
  fs::path place = fs::absolute(path_, error).lexically_normal();
  while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  try {
    check_writable((place / ".fastdeepiot").string());
  } catch (const core::Error&) {
    core::fail("--out {}: cannot write in {}; choose another folder", path_, place.string());
  }
}

}  // namespace fdi::cli
