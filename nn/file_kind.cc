#include "nn/file_kind.h"

#include <array>

namespace fdi::nn {
namespace {

using namespace std::string_view_literals;

struct Magic {
  size_t at;
  std::string_view bytes, kind;
};

constexpr std::array kMagic{
    Magic{4, "TFL3"sv, "a TensorFlow Lite file"sv},
    Magic{0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras writes them"sv},
    Magic{0, "\x80\x02"sv, "a Python pickle, as PyTorch writes them"sv},
    Magic{0, "\x80\x03"sv, "a Python pickle, as PyTorch writes them"sv},
    Magic{0, "\x80\x04"sv, "a Python pickle, as PyTorch writes them"sv},
    Magic{0, "\x80\x05"sv, "a Python pickle, as PyTorch writes them"sv},
    Magic{0, "\x93NUMPY"sv, "a NumPy file"sv},
    Magic{0, "GGUF"sv, "a GGUF file"sv},
    Magic{0, "\x89PNG\r\n\x1a\n"sv, "a PNG image"sv},
    Magic{0, "\xff\xd8\xff"sv, "a JPEG image"sv},
    Magic{0, "\x1f\x8b"sv, "a gzip archive"sv},
    Magic{0, "\xfd\x37zXZ"sv, "an xz archive"sv},
    Magic{0, "BZh"sv, "a bzip2 archive"sv},
    Magic{0, "\x28\xb5\x2f\xfd"sv, "a zstd archive"sv},
    Magic{0, "7z\xbc\xaf"sv, "a 7z archive"sv},
    Magic{0, "Rar!"sv, "a rar archive"sv},
    Magic{257, "ustar"sv, "a tar archive"sv},
    Magic{0, "version https://git-lfs"sv, "a pointer of Git LFS, whose contents git lfs pull fetches"sv},
    Magic{0, "SQLite format 3"sv, "an SQLite database"sv},
    Magic{0, "\xff\xfe"sv, "a text in UTF-16, which has to be saved as UTF-8"sv},
    Magic{0, "\xfe\xff"sv, "a text in UTF-16, which has to be saved as UTF-8"sv},
};

// A protobuf that begins with ir_version (field 1, of 3 or more) and goes on with another field of ModelProto.
bool is_onnx(std::string_view bytes) {
  return bytes.size() >= 3 && bytes[0] == 0x08 && bytes[1] >= 3 && bytes[1] < 32 &&
         "\x12\x1a\x22\x28\x32\x3a\x42"sv.find(bytes[2]) != std::string_view::npos;
}

bool is_safetensors(std::string_view bytes) {  // a header below 4 GiB, which is an object
  return bytes.size() > 8 && bytes.substr(4, 4) == "\0\0\0\0"sv && bytes[8] == '{';
}

}  // namespace

std::string_view file_kind(std::string_view bytes) {
  if (is_safetensors(bytes)) return kSafetensors;
  for (const Magic& magic : kMagic)
    if (bytes.size() >= magic.at && bytes.substr(magic.at).starts_with(magic.bytes)) return magic.kind;
  if (bytes.starts_with("PK\x03\x04"))
    return bytes.substr(0, 4096).find("data.pkl") != std::string_view::npos
               ? "a PyTorch file"
               : "a zip archive, as PyTorch, Keras and NumPy write them";
  if (is_onnx(bytes)) return "an ONNX file";
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && bytes[first] == '{') return kJsonText;
  return "";
}

}  // namespace fdi::nn
