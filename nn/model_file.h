// Model files: safetensors (https://github.com/huggingface/safetensors): 8 bytes little-endian header length, a JSON
// header, the values. Any safetensors library reads them. Called by train, eval, info and by the checkpoints.
// A checksum in the metadata covers the header and the values, so that a damaged file is refused.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nn/network.h"
#include "nn/spec.h"

namespace fdi::nn {

// Named float32 tensors and strings. Tensors are views: of `storage` after reading, of anything when writing.
struct TensorFile {
  struct Entry {
    std::string name;
    core::ConstTensor values;
  };
  std::map<std::string, std::string> metadata;  // without the checksum
  std::vector<Entry> tensors;                   // after reading: in the file's order
  std::vector<float> storage;

  const Entry* find(std::string_view name) const;  // null: none of that name
};

void write_tensor_file(const std::string& path, const TensorFile& file);  // atomically; metadata must be UTF-8 text
// Throws Error with path, byte offset and remedy for a file that is cut, damaged or no safetensors file.
TensorFile read_tensor_file(const std::string& path);
TensorFile parse_tensor_file(std::string_view bytes, std::string_view where);

// What of `file` belongs to `parameters`; throws Error for a tensor that is missing, misshapen, or holds nan or inf.
void copy_parameters(const TensorFile& file, Parameters& parameters, std::string_view where);

struct Model {
  NetworkSpec spec;
  Parameters parameters;
  std::map<std::string, std::string> metadata;  // normalisation, class names, ...: whatever was saved beside
};

// `metadata` may have any keys but "network" and "checksum".
void save_model(const std::string& path, const NetworkSpec& spec, const Parameters& parameters,
                const std::map<std::string, std::string>& metadata);
Model load_model(const std::string& path);  // a file, a pipe, or the folder of a run: its model.safetensors
Model parse_model(std::string_view bytes, std::string_view where);

}  // namespace fdi::nn
