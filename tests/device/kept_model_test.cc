// The time model that a device keeps of itself: its file, and the agent's requests for it.
#include "device/kept_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/file.h"
#include "device/protocol.h"
#include "tests/message_of.h"
#include "tests/temp_folder.h"

namespace fdi::device {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class KeptModel : public ::testing::Test, public TempFolder {
 protected:
  KeptModel() { ::setenv("FASTDEEPIOT_MODELS", path("models").c_str(), 1); }
  ~KeptModel() override { ::unsetenv("FASTDEEPIOT_MODELS"); }
  static json model_of(const Identity& device, int number) {
    return {{"device", identity_to_json(device)}, {"number", number}};
  }
  static constexpr const char* kFile = "models/board_a_cpu_native_0.1.0+abc_neon_1_thread.json";
  static Identity device(int threads) {
    Identity d;
    d.machine = "board";
    d.cpu = "a cpu";
    d.engine = "native";
    d.engine_version = "0.1.0+abc";
    d.isa = "neon";
    d.threads = threads;
    return d;
  }
};

TEST_F(KeptModel, OneForEachDevice) {
  EXPECT_TRUE(kept_model(device(1)).is_null());
  keep_model(device(1), model_of(device(1), 1));
  keep_model(device(2), model_of(device(2), 2));
  EXPECT_EQ(kept_model(device(1)), model_of(device(1), 1));
  keep_model(device(1), model_of(device(1), 3));
  EXPECT_EQ(kept_model(device(1)), model_of(device(1), 3));
  EXPECT_EQ(kept_model(device(2)), model_of(device(2), 2));
  EXPECT_TRUE(std::filesystem::exists(path(kFile)));
}

TEST_F(KeptModel, WhatIsNoModelOfThisDeviceIsRefused) {
  EXPECT_THAT(message_of([] { keep_model(device(1), model_of(device(2), 1)); }), HasSubstr("2 threads\", this is"));
  EXPECT_THAT(message_of([] { keep_model(device(1), json::object()); }), HasSubstr("\"device\" is missing"));
  EXPECT_TRUE(kept_model(device(1)).is_null());

  keep_model(device(1), model_of(device(1), 1));
  const std::string file = path(kFile);
  Identity other = device(1);
  other.cpu = "another cpu";  // a card that was put into another board
  core::write_file_atomically(file, model_of(other, 1).dump());
  EXPECT_THAT(message_of([] { kept_model(device(1)); }), HasSubstr("another cpu"));
  core::write_file_atomically(file, core::read_file(file).substr(0, 20));
  EXPECT_THAT(message_of([] { kept_model(device(1)); }), HasSubstr(file));

  json large = model_of(device(1), 1);
  large["text"] = std::string(kMaxModelBytes, 'x');
  EXPECT_THAT(message_of([&] { keep_model(device(1), large); }), HasSubstr("at most 8388608 are kept"));

  core::write_file_atomically(path("file"), "");
  ::setenv("FASTDEEPIOT_MODELS", path("file/models").c_str(), 1);
  EXPECT_THAT(message_of([] { keep_model(device(1), model_of(device(1), 1)); }), HasSubstr("file/models: "));
}

TEST_F(KeptModel, IsAskedForAndGivenLineByLine) {
  const auto ask = [](const std::vector<json>& requests) {
    std::string text;
    for (const json& request : requests) text += request.dump() + "\n";
    std::istringstream in(text);
    std::vector<json> answers;
    serve(in, [&](const std::string& line) { answers.push_back(json::parse(line)); });
    return answers;
  };
  const std::vector<json> first = ask({model_request(), hello_request({}), model_request()});
  EXPECT_THAT(message_of([&] { answered_model(first[0], "agent"); }), HasSubstr("model before hello"));
  EXPECT_TRUE(answered_model(first[2], "agent").is_null());
  const json model = model_of(greeting_from_json(first[1], "agent").identity, 7);
  const std::vector<json> second =
      ask({hello_request({}), keep_request(model), model_request(), keep_request(model_of(device(1), 1))});
  check_kept(second[1], "agent");
  EXPECT_EQ(answered_model(second[2], "agent"), model);
  EXPECT_THAT(message_of([&] { check_kept(second[3], "agent"); }), HasSubstr("model: a model of"));
  EXPECT_THAT(message_of([&] { answered_model(second[1], "agent"); }), HasSubstr("answered \"kept\" to model"));
}

}  // namespace
}  // namespace fdi::device
