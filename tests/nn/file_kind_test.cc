// Files of other programs given as a model or as JSON: named, not called damaged.
#include "nn/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/model_file.h"

namespace fdi::nn {
namespace {

using namespace std::string_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(const auto& read) {
  try {
    read();
  } catch (const core::Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(FileKind, ForeignFilesAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"\x08\x07\x12\x07pytorch\x1a\x05"s, "an ONNX file"},
      {"\x1c\0\0\0TFL3\x14\0\x20\0"s, "a TensorFlow Lite file"},
      {"PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl"s, "a PyTorch file"},
      {"PK\x03\x04\x14\0\0\0\0\0config.json"s, "a zip archive, as PyTorch, Keras and NumPy write them"},
      {"\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j"s, "a Python pickle, as PyTorch writes them"},
      {"\x80\x03}q\0(X\x06\0\0\0weight"s, "a Python pickle, as PyTorch writes them"},
      {"\x80\x05\x95\x10\0\0\0\0\0\0\0}\x94"s, "a Python pickle, as PyTorch writes them"},
      {"version https://git-lfs.github.com/spec/v1\n"s, "a pointer of Git LFS"},
      {"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0"s, "an HDF5 file, as Keras writes them"},
      {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s, "a PNG image"},
      {"\x1f\x8b\x08\0\0\0\0\0\0\x03\xed\xbd"s, "a gzip archive"},
      {"\xff\xfe{\0\"\0n\0a\0m\0"s, "a text in UTF-16"},
  };
  for (const auto& named : cases) {
    const auto& bytes = named.first;
    const auto& kind = named.second;
    EXPECT_THAT(refusal([&] { parse_model(bytes, "x"); }),
                AllOf(HasSubstr("x: is "s + kind), HasSubstr("safetensors files that hold a network"),
                      Not(HasSubstr("damaged")), Not(HasSubstr("\n"))));
    EXPECT_THAT(refusal([&] { parse_json(bytes, "x"); }), AllOf(HasSubstr("x: is "s + kind), HasSubstr(", not JSON")));
  }
  EXPECT_THAT(refusal([&] { parse_model("{\"name\": \"net\"}", "x"); }), HasSubstr("x: is a JSON text; "));
  EXPECT_THAT(refusal([&] { parse_json("\x40\0\0\0\0\0\0\0{\"conv.weight\":"s, "x"); }),
              HasSubstr("x: is a safetensors file, not JSON"));
  EXPECT_EQ(file_kind("some text"), "");
  EXPECT_EQ(file_kind(""), "");
}

TEST(FileKind, AnAbsurdHeaderIsNoSafetensorsFileAndACutOneIsCut) {
  EXPECT_THAT(refusal([] { parse_model("\0\x80\xc6\xa4\x7e\x8d\x03\0{}"s, "x"); }),
              AllOf(HasSubstr("x: is no safetensors file"), HasSubstr("a header of 1000000000000000 bytes")));
  EXPECT_THAT(refusal([] { parse_model("\xc0\x9f\xe6\x05\0\0\0\0{"s, "x"); }),
              AllOf(HasSubstr("a header of 99000256 bytes, but 1 follow"), HasSubstr("damaged or cut")));
}

// A later value would silently win.
TEST(ParseJson, AKeyIsThereOnce) {
  EXPECT_EQ(parse_json(R"({"a": {"x": 1}, "b": {"x": 2}, "c": [{"x": 1}, {"x": 1}]})", "f").size(), 3U);
  EXPECT_EQ(refusal([] { parse_json(R"({"conv1": [0], "fc": [1], "conv1": [2]})", "keep.json"); }),
            "keep.json: the key \"conv1\" is there twice; remove one of them");
  EXPECT_EQ(refusal([] { parse_json(R"({"layers": [{"units": 1, "op": {"a": 1}, "units": 1}]})", "f"); }),
            "f: the key \"units\" is there twice, in \"layers\"; remove one of them");
  EXPECT_EQ(refusal([] { parse_json("{\"\\u0061\\n\": 1, \"a\\n\": 1}", "f"); }),
            "f: the key \"a\\n\" is there twice; remove one of them");
}

}  // namespace
}  // namespace fdi::nn
