// The agent's side of the conversation, line by line, with the native engine behind it.
#include "device/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/threads.h"
#include "device/version.h"
#include "kernels/isa.h"

namespace fdi::device {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::vector<json> conversation(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  std::istringstream in(text);
  std::vector<json> answers;
  serve(in, [&](const std::string& line) {
    EXPECT_EQ(line.find('\n'), std::string::npos);
    answers.push_back(json::parse(line));
  });
  return answers;
}

std::string message(const json& answer) {
  return answer.value("answer", "") == "error" ? answer["message"].get<std::string>() : "no error: " + answer.dump();
}

Job small_job() {
  Component c;
  c.layer.op = nn::Op::kFc;
  c.layer.name = "fc";
  c.layer.inputs = {nn::LayerSpec::kInput};
  c.layer.attr.units = 4;
  c.in = {nn::Shape{8}};
  return job_of(std::span(&c, 1));
}

const std::string kHello = hello_request({}).dump();
constexpr MeasureOptions kShort{.warm_up = 0, .min_runs = 2, .max_runs = 2, .min_interval_us = 1};

class Serve : public ::testing::Test {
 protected:
  void TearDown() override { kernels::set_isa(""); }
};

TEST_F(Serve, GreetsAndMeasures) {
  const auto answers = conversation({kHello, measure_request(7, small_job(), kShort).dump()});
  ASSERT_EQ(answers.size(), 2U);
  const Greeting greeting = greeting_from_json(answers[0], "agent");
  EXPECT_EQ(greeting.version, build_version());
  EXPECT_EQ(greeting.identity, this_device("native", greeting.identity.engine_version));
  EXPECT_EQ(greeting.engines, engine_names());
  EXPECT_THAT(greeting.ops, ::testing::Contains("conv2d"));
  const Reading reading = answered_reading(answers[1], 7, 1, "agent");
  EXPECT_EQ(reading.total.runs, 2);
  EXPECT_GT(reading.total.min_us, 0);
}

TEST_F(Serve, SettingsTakeEffect) {
  const auto answers = conversation({hello_request({.engine = "native", .isa = "scalar", .threads = 2}).dump()});
  const Identity device = greeting_from_json(answers[0], "agent").identity;
  EXPECT_EQ(device.isa, "scalar");
  EXPECT_EQ(device.threads, 2);
  EXPECT_EQ(core::threads(), 2);
}

TEST_F(Serve, WhatIsWrongIsAnsweredAndTheNextRequestServed) {
  json bad_job = measure_request(8, small_job(), kShort);
  bad_job.erase("job");
  json bad_options = measure_request(9, small_job(), kShort);
  bad_options["options"]["min_runs"] = 0;
  const auto answers =
      conversation({measure_request(1, small_job(), kShort).dump(), "{\"ask\": \"hello\"", "[]", "{\"ask\": \"dance\"}",
                    hello_request({.engine = "nobody", .isa = "", .threads = 1}).dump(),
                    hello_request({.engine = "native", .isa = "mmx", .threads = 1}).dump(), kHello, bad_job.dump(),
                    bad_options.dump(), measure_request(10, small_job(), kShort).dump()});
  ASSERT_EQ(answers.size(), 10U);
  EXPECT_THAT(message(answers[0]), HasSubstr("before hello"));
  EXPECT_EQ(answers[0]["id"], 1);
  EXPECT_THAT(message(answers[1]), HasSubstr("not JSON"));
  EXPECT_THAT(message(answers[2]), HasSubstr("wanted an object"));
  EXPECT_THAT(message(answers[3]), HasSubstr("\"dance\", wanted hello"));
  EXPECT_THAT(message(answers[4]), HasSubstr("nobody"));
  EXPECT_THAT(message(answers[5]), HasSubstr("mmx"));
  EXPECT_EQ(answers[6]["answer"], "hello");
  EXPECT_THAT(message(answers[7]), HasSubstr("\"job\" is missing"));
  EXPECT_EQ(answers[7]["id"], 8);
  EXPECT_THAT(message(answers[8]), HasSubstr("min_runs"));
  EXPECT_EQ(answers[9]["answer"], "reading");
}

// What is refused leaves the session of before as it was.
TEST_F(Serve, ARefusedHelloChangesNothing) {
  const auto answers = conversation({hello_request({.engine = "native", .isa = "scalar", .threads = 2}).dump(),
                                     hello_request({.engine = "native", .isa = "mmx", .threads = 3}).dump(),
                                     hello_request({.engine = "native", .isa = "", .threads = 2000}).dump(),
                                     hello_request({.engine = "nobody", .isa = "", .threads = 1}).dump()});
  ASSERT_EQ(answers.size(), 3U + 1U);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(answers[i]["answer"], "error");
  EXPECT_EQ(core::threads(), 2);
  EXPECT_EQ(kernels::isa(), "scalar");
}

// On a terminal a device's text could do anything.
TEST(Answers, TextOfADeviceIsShownAsOnePrintableLine) {
  const auto refusal = [](const json& answer) {
    try {
      greeting_from_json(answer, "agent");
    } catch (const core::Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal({{"answer", "error"}, {"message", "\x1b[31mred\nnext"}}), "agent: \\x1b[31mred\\nnext");
  EXPECT_LT(refusal({{"answer", "error"}, {"message", std::string(100'000, 'y')}}).size(), 500U);
  EXPECT_EQ(refusal({{"answer", "\x1b[2J"}}), "agent: answered \"\\x1b[2J\" to hello");
  Identity device;
  device.cpu = "\x1b[2Jcpu";
  EXPECT_EQ(identity_from_json(identity_to_json(device), "agent").cpu, "\\x1b[2Jcpu");
}

TEST(Greeting, OfAnotherVersionIsReadAsFarAsItsVersion) {
  const json old = {{"answer", "hello"}, {"protocol", 99}, {"version", "9.0"}, {"device", "who knows"}};
  EXPECT_EQ(greeting_from_json(old, "agent").protocol, 99);
  EXPECT_THROW(greeting_from_json({{"answer", "reading"}}, "agent"), core::Error);
  EXPECT_THROW(greeting_from_json({{"answer", "hello"}}, "agent"), core::Error);
}

}  // namespace
}  // namespace fdi::device
