// What the dataset tests share: a temporary folder to write files to; and the message of an error (message_of.h).
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "datasets/cifar_binary.h"
#include "datasets/image_set.h"
#include "tests/datasets/encoders.h"
#include "tests/message_of.h"
#include "tests/temp_folder.h"

namespace fdi::datasets {

namespace fs = std::filesystem;

class DatasetFiles : public ::testing::Test, public TempFolder {
 protected:
  std::string write(const std::string& name, const Bytes& bytes) const {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path(name);
  }
};

// The first byte of each image.
inline std::vector<int> values(const Dataset& data) {
  std::vector<int> all;
  Bytes pixels(static_cast<size_t>(data.image_shape().size()));
  for (int64_t i = 0; i < data.size(); ++i) {
    data.image(i, pixels);
    all.push_back(pixels[0]);
  }
  return all;
}

// Archives by path and in memory.
inline DatasetPtr open_image_archive(const std::string& path, Split split, const ImageOptions& options) {
  return open_image_archive(Source(path), split, options);
}
inline DatasetPtr open_image_archive(std::span<const uint8_t> archive, const std::string& where, Split split,
                                     const ImageOptions& options) {
  return open_image_archive(Source(archive, where), split, options);
}
inline DatasetPtr open_cifar_archive(const std::string& path, Split split) {
  return open_cifar_archive(Source(path), split);
}
inline DatasetPtr open_cifar_archive(std::span<const uint8_t> archive, const std::string& where, Split split) {
  return open_cifar_archive(Source(archive, where), split);
}

inline Bytes read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

}  // namespace fdi::datasets
