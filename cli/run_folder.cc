#include "cli/run_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cli/options.h"
#include "cli/terminal.h"
#include "core/error.h"

namespace fdi::cli {

namespace fs = std::filesystem;

RunFolder::RunFolder(std::string path, std::string command, bool resume)
    : path_(std::move(path)), command_(std::move(command)), resume_(resume) {
  if (path_.empty()) core::fail("--out is empty; give a folder");
  if (core::is_folder(path_))
    lock();
  else
    check_place();
  check_content();
}

void RunFolder::make() {
  if (lock_ == nullptr) {
    std::error_code error;
    fs::create_directories(path_, error);
    if (!fs::is_directory(path_, error))
      core::fail("--out {}: cannot make this folder: {}", path_, error ? error.message() : "a file is in the way");
    lock();
    check_content();
  }
  check_writable(model(), Written::kModel);
}

std::string RunFolder::file(const char* name) const { return (fs::path(path_) / name).string(); }
bool RunFolder::has(const char* name) const { return core::path_exists(file(name)); }

void RunFolder::lock() {
  try {
    lock_ = std::make_unique<core::FileLock>(file(".fastdeepiot-lock"), "fastdeepiot " + command_);
  } catch (const core::Error& e) {
    throw core::Error(fmt::format("--out {}: {}", path_, e.what()), e.code());
  }
  if (lock_->state() == core::FileLock::State::kBusy)
    core::fail("--out {}: in use by {}; wait for it to end, or choose another folder", path_, lock_->holder());
  if (lock_->state() == core::FileLock::State::kUnsupported)
    note("warning: --out {}: this file system knows no locks; give no other command this folder meanwhile", path_);
}

void RunFolder::check_content() const {
  const char* first = command_ == "train" ? kCheckpointFile : command_ == "compress" ? kSearchFile : nullptr;
  // A checkpoint beside a result is of compress's fine-tuning.
  const std::string owner = has(kSearchFile) || (has(kCheckpointFile) && has(kResultFile)) ? "compress"
                            : has(kCheckpointFile)                                         ? "train"
                            : has(kResultFile)                                             ? "expand"
                            : has(kModelFile)                                              ? "train"
                                                                                           : "";
  const bool can_go_on = owner == command_ && first != nullptr && has(first);
  if (resume_ && !can_go_on) {
    if (owner.empty()) core::fail("--resume: {} is not there; leave out --resume to start a new run", file(first));
    if (owner == command_)
      core::fail(
          "--resume: {} is not there, and without it the run cannot go on; what it made is {}; start a new run in "
          "another folder",
          file(first), model());
    core::fail("--resume: {} holds a run of `{}`, not of `{}`; give the command that it began with", path_, owner,
               command_);
  }
  if (!resume_ && !owner.empty())
    core::fail("--out {}: holds a run{} already; choose another folder{}", path_,
               owner == command_ ? "" : fmt::format(" of `{}`", owner),
               can_go_on ? ", or add --resume to go on with one that was stopped" : "");
}

// Files can be made where the folder will be: said before the images are read.
void RunFolder::check_place() const {
  std::error_code error;
  fs::path place = fs::absolute(path_, error).lexically_normal();
  while (!core::path_exists(place.string()) && place.has_relative_path()) place = place.parent_path();
  if (!core::is_folder(place.string()))
    core::fail("--out {}: {} is a file; choose another folder", path_, place.string());
  try {  // by a name of this process: others may begin runs of their own there
    check_writable((place / fmt::format(".fastdeepiot-{}", ::getpid())).string());
  } catch (const core::Error& e) {
    throw core::Error(fmt::format("--out {}: {}", path_, e.what()), e.code());
  }
}

}  // namespace fdi::cli
