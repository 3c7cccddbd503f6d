// The folder of a run of `train`, `compress` or `expand`: a checkpoint to go on from, and the model in the end. One
// command at a time works in it.
#pragma once
#include <memory>
#include <string>

#include "core/file.h"

namespace fdi::cli {

constexpr const char* kCheckpointFile = "checkpoint.safetensors";  // of training
constexpr const char* kSearchFile = "search.safetensors";          // of compress's search, its first file
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kResultFile = "result.json";  // of compress and expand

class RunFolder {
 public:
  // `command` is "train", "compress" or "expand". Throws Error where the folder cannot be written to, another process
  // works in it, it holds a run and `resume` is not asked for, or holds none of this command that can go on and it is.
  // The folder is locked from here or, where it does not exist yet, from make() on, as long as this object lives. Where
  // the file system knows no locks, a warning says so. A restart (core/restart.h) comes before.
  RunFolder(std::string path, std::string command, bool resume);
  // Called when everything else about the request is known to be right; nothing is made before. Throws like the
  // constructor: another process may have been faster.
  void make();
  std::string file(const char* name) const;
  bool has(const char* name) const;
  std::string checkpoint() const { return file(kCheckpointFile); }
  std::string model() const { return file(kModelFile); }

 private:
  void lock();
  void check_content() const;
  void check_place() const;
  std::string path_, command_;
  bool resume_;
  std::unique_ptr<core::FileLock> lock_;
};

}  // namespace fdi::cli
