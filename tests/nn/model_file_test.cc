// Model files: there and back, readable by others, and every kind of damage refused.
#include "nn/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "nn/builder.h"
#include "nn/checkpoint.h"
#include "tests/temp_folder.h"

namespace fdi::nn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

NetworkSpec small() {
  SpecBuilder b("small", {4, 4, 2});
  b.add(Op::kConv2d, "conv", {.units = 3, .kernel = {3, 3}, .relu = true});
  b.add(Op::kFlatten, "flat");
  b.add(Op::kFc, "fc", {.units = 5});
  return b.take();
}

class ModelFile : public ::testing::Test, public TempFolder {
 protected:
  void SetUp() override {
    path_ = dir_ / "model.safetensors";
    Parameters parameters(small());
    parameters.initialize(1);
    save_model(path_, small(), parameters, {{"classes", "[\"a\", \"b\"]"}});
    bytes_ = core::read_file(path_);
  }
  std::string path_, bytes_;
};

std::string error_of(const std::string& bytes) {
  try {
    parse_model(bytes, "m.safetensors");
  } catch (const core::Error& e) {
    return e.what();
  }
  return "no error";
}

std::string with_header(const std::string& header, const std::string& values = "") {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + values;
}

TEST_F(ModelFile, RoundTripIsExact) {
  Parameters expected(small());
  expected.initialize(1);
  const Model model = load_model(path_);
  EXPECT_EQ(model.spec, small());
  EXPECT_EQ(model.metadata, (std::map<std::string, std::string>{{"classes", "[\"a\", \"b\"]"}}));
  ASSERT_EQ(model.parameters.all().size(), expected.all().size());
  EXPECT_EQ(std::memcmp(model.parameters.all().data(), expected.all().data(), expected.all().size_bytes()), 0);
}

TEST_F(ModelFile, HeaderIsAlignedAndOffsetsFollowEachOther) {
  uint64_t length = 0;
  std::memcpy(&length, bytes_.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  const json header = json::parse(bytes_.substr(8, length));
  EXPECT_EQ(header["conv.weight"]["shape"], (json{3, 3, 2, 3}));
  EXPECT_EQ(header["conv.weight"]["dtype"], "F32");
  EXPECT_EQ(header["conv.weight"]["data_offsets"], (json{0, 216}));
  EXPECT_EQ(header["conv.bias"]["data_offsets"], (json{216, 228}));
  EXPECT_EQ(bytes_.size(), 8 + length + 4 * (54 + 3 + 48 * 5 + 5));
}

TEST_F(ModelFile, EveryCutIsRefused) {
  for (size_t n = 0; n < bytes_.size(); ++n)
    ASSERT_THAT(error_of(bytes_.substr(0, n)), AllOf(HasSubstr("m.safetensors: "), Not(HasSubstr("\n")))) << n;
  EXPECT_THAT(error_of(bytes_ + "x"), HasSubstr("bytes of values, want"));
}

// A flip may strike the word "checksum" itself, whose absence is allowed: then all that counts must be intact.
TEST_F(ModelFile, EveryFlippedBitIsRefusedOrHarmless) {
  const Model good = parse_model(bytes_, "good");
  const size_t checksum_at = bytes_.find("\"checksum\"");
  ASSERT_NE(checksum_at, std::string::npos);
  int accepted = 0;
  for (size_t i = 0; i < bytes_.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = bytes_;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      try {
        const Model model = parse_model(bad, "bad");
        ++accepted;
        ASSERT_EQ(model.spec, good.spec) << i;
        ASSERT_EQ(model.metadata.at("classes"), good.metadata.at("classes")) << i;
        ASSERT_EQ(std::memcmp(model.parameters.all().data(), good.parameters.all().data(),
                              good.parameters.all().size_bytes()),
                  0)
            << i;
      } catch (const core::Error& e) {
        ASSERT_THAT(e.what(), AllOf(HasSubstr("bad: "), Not(HasSubstr("\n")))) << i;
      }
    }
  EXPECT_LT(accepted, 8 * 16);  // letters of "checksum", and padding spaces that become other white space
}

TEST_F(ModelFile, DamagedValuesAreNamedAsSuch) {
  std::string bad = bytes_;
  bad[bad.size() - 3] ^= 4;
  EXPECT_THAT(error_of(bad), AllOf(HasSubstr("the checksum is"), HasSubstr("damaged or cut")));
}

TEST_F(ModelFile, AFileWithoutChecksumIsAccepted) {  // a user edited it with another library
  uint64_t length = 0;
  std::memcpy(&length, bytes_.data(), 8);
  json header = json::parse(bytes_.substr(8, length));
  header["__metadata__"].erase("checksum");
  EXPECT_EQ(parse_model(with_header(header.dump(), bytes_.substr(8 + length)), "x").spec, small());
}

TEST(ModelFileErrors, NameTheReason) {
  const std::string one = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const std::pair<std::string, const char*> cases[] = {
      {"", "has 0 bytes, want at least 8"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff rest"),
       "is no safetensors file: it would begin with a header of 1844"},
      {std::string("\x10\0\0\0\0\0\0\0{\"a\":", 13), "byte 0: a header of 16 bytes, but 5 follow"},
      {with_header("{]"), "the header: byte 2: not JSON"},
      {with_header("[1e999]"), "the header: not JSON: a number is out of range"},
      {with_header(
           R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
           "1234"),
       "the header: the key \"a\" is there twice"},
      {with_header(R"({"__metadata__":{"network":"{}","network":"{}"}})"),
       "the key \"network\" is there twice, in \"__metadata__\""},
      {with_header(R"({"__metadata__":{"network":"{\"name\":\"a\",\"name\":\"b\"}"}})"),
       "metadata network: the key \"name\" is there twice"},
      {with_header("[]"), "byte 8: the header is a array, want an object"},
      {with_header(R"({"a":1})"), "tensor \"a\": want an object with dtype"},
      {with_header(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", "12345678"), "dtype \"F64\": only"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1],"data_offsets":[0,4]}})", "1234"), "at most 5 extents"},
      {with_header(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"), "shape [-1] is out of range"},
      {with_header(R"({"a":{"dtype":"F32","shape":[65536,65536,65536,65536],"data_offsets":[0,0]}})"), "out of range"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234"), "want [begin, end]"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "1234"), "want [begin, end]"},
      {with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"),
       "4 bytes at offsets [0, 4), wa"},
      {with_header(one, "123"), "holds 3 bytes of values, want the 4"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678"),
       "starts at offset 4 of the"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                       "b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                   "1234"),
       "tensor \"b\" starts at offset 0 of the values, want 4"},
      {with_header(R"({"__metadata__":1})"), "__metadata__ is a number, want an object"},
      {with_header(R"({"__metadata__":{"a":1}})"), "__metadata__ \"a\": want a string"},
      {with_header(one, "1234"), "has no \"network\" in its metadata"},
      {with_header(R"({"__metadata__":{"network":"{"}})"), "metadata network: byte 2: not JSON"},
      {with_header(R"({"__metadata__":{"network":"{}"}})"), "metadata network: network: \"input\" is missing"},
  };
  for (const auto& [bytes, message] : cases)
    EXPECT_THAT(error_of(bytes), AllOf(HasSubstr("m.safetensors: "), HasSubstr(message), Not(HasSubstr("\n"))));
}

TEST(ModelFileErrors, TensorsMustBeThoseOfTheNetwork) {
  const auto file = [](const std::string& name, const std::string& shape, size_t floats) {
    json header;
    header["__metadata__"]["network"] =
        R"({"input":[2],"layers":[{"op":"fc","name":"f","inputs":["input"],"units":3,"bias":false}]})";
    header[name] = {{"dtype", "F32"}, {"shape", json::parse(shape)}, {"data_offsets", {0, 4 * floats}}};
    return with_header(header.dump(), std::string(4 * floats, '\0'));
  };
  EXPECT_EQ(error_of(file("f.weight", "[2, 3]", 6)), "no error");
  EXPECT_THAT(error_of(file("f.weights", "[2, 3]", 6)), HasSubstr("tensor \"f.weights\" belongs to no layer"));
  EXPECT_THAT(error_of(file("f.weight", "[3, 2]", 6)), HasSubstr("tensor f.weight has shape (3, 2), want (2, 3)"));
  EXPECT_THAT(error_of(file("f.weight", "[2, 2]", 4)), HasSubstr("holds 4 weights, want the network's 6"));
}

// A file of 100 bytes whose network would need 4 GiB of weights.
TEST(ModelFileErrors, ASpecCannotAskForMemoryThatTheFileDoesNotHave) {
  json header;
  header["__metadata__"]["network"] =
      R"({"input":[32768],"layers":[{"op":"fc","name":"f","inputs":["input"],"units":32768,"bias":false}]})";
  EXPECT_THAT(error_of(with_header(header.dump())), HasSubstr("holds 0 weights, want the network's 1073741824"));
}

// Whoever reads a model: no such number ever reaches a command.
TEST_F(ModelFile, NumbersThatAreNoneAreRefused) {
  const auto refusal_of = [&](size_t entry, int64_t at, float value) {
    Parameters parameters(small());
    parameters.initialize(1);
    parameters.tensor(parameters.entries()[entry]).data[at] = value;
    save_model(path_, small(), parameters, {});
    return error_of(core::read_file(path_));
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(refusal_of(0, 0, std::nanf("")),
            "m.safetensors: tensor conv.weight holds nan at (0, 0, 0, 0): its weights are ruined; train again with a "
            "lower --lr");
  EXPECT_THAT(refusal_of(0, 53, kInfinity), HasSubstr("tensor conv.weight holds inf at (2, 2, 1, 2)"));
  EXPECT_THAT(refusal_of(3, 4, -kInfinity), HasSubstr("tensor fc.bias holds -inf at (4)"));
}

TEST_F(ModelFile, ARunFolderStandsForItsModel) {
  EXPECT_EQ(load_model(dir_.string()).spec, small());
  fs::remove(path_);
  EXPECT_THAT([&] { load_model(dir_.string()); }, ThrowsMessage<core::Error>(HasSubstr("model.safetensors: cannot")));
}

TEST_F(ModelFile, ACheckpointIsNoModel) {
  const std::string checkpoint = (dir_ / "checkpoint.safetensors").string();
  TrainState state(small(), TrainConfig{});
  save_checkpoint(checkpoint, state);
  EXPECT_THAT([&] { load_model(checkpoint); },
              ThrowsMessage<core::Error>(
                  HasSubstr("checkpoint.safetensors: is the checkpoint of a run, not a model; give " + path_)));
  fs::remove(path_);
  EXPECT_THAT([&] { load_model(checkpoint); }, ThrowsMessage<core::Error>(HasSubstr("finish the run (--resume)")));
}

// JSON, and so the header, holds Unicode: other bytes would be replaced, and the classes would not be the same again.
TEST_F(ModelFile, MetadataAreUnicodeOrNotWritten) {
  Parameters parameters(small());
  const std::string place = (dir_ / "latin1.safetensors").string();
  EXPECT_THAT(
      [&] {
        save_model(place, small(), parameters, {{"classes", "[\"caf\xe9\"]"}});
      },
      ThrowsMessage<core::Error>(
          AllOf(HasSubstr("latin1.safetensors: cannot write: \"classes\""), HasSubstr("caf\\xe9"))));
  EXPECT_FALSE(fs::exists(place));
}

TEST_F(ModelFile, UnwritablePlaceIsAnError) {
  Parameters parameters(small());
  EXPECT_THROW(save_model((dir_ / "no" / "m").string(), small(), parameters, {}), core::Error);
  EXPECT_THROW(load_model((dir_ / "missing").string()), core::Error);
}

// The public description of the format, read by a program that knows nothing of this one.
TEST_F(ModelFile, PythonReadsItByTheFormatsDescription) {
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) GTEST_SKIP() << "no python3-numpy";
  const Model model = load_model(path_);
  double sum = 0;
  for (const float v : model.parameters.all()) sum += v;
  const std::string command = fmt::format("/usr/bin/python3 {}/tests/nn/read_safetensors.py {} {} {:.9f}",
                                          FDI_SOURCE_DIR, path_, model.parameters.entries().size(), sum);
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace fdi::nn
