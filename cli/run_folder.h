// The folder of a run of `train`, `compress` or `expand`: a checkpoint to go on from, and the model in the end.
#pragma once
#include <string>

namespace fdi::cli {

class RunFolder {
 public:
  // Throws Error where the folder cannot be written to, holds a run and `resume` is not asked for, or holds none and it
  // is. Nothing is made before make(), when everything else about the request is known to be right. `first` is the
  // checkpoint that a run writes first.
  RunFolder(const std::string& path, bool resume, const char* first = "checkpoint.safetensors");
  void make() const;
  std::string file(const char* name) const;
  bool has(const char* name) const;
  std::string checkpoint() const { return file("checkpoint.safetensors"); }
  std::string model() const { return file("model.safetensors"); }

 private:
  void check_place() const;
  std::string path_;
};

}  // namespace fdi::cli
