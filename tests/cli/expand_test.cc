// `expand` through the program, with a time model written by hand: what it writes, and what it refuses.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "compress/shrink.h"
#include "core/threads.h"
#include "device/engine.h"
#include "nn/zoo.h"
#include "tests/cli/program.h"
#include "tests/compress/stepped_model.h"

namespace fdi::cli {
namespace {

using profile::Field;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;
constexpr auto kMultiple = profile::Condition::Kind::kMultiple;

class Expand : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    core::set_threads(1);
    const auto engine = device::make_engine("native");
    device_ = device::this_device(engine->name(), engine->version());
    const nn::Model model = compress::random_model(nn::make_zoo("lenet"));
    nn::save_model(path("m.safetensors"), model.spec, model.parameters, model.metadata);
  }
  // Convolutions of multiples of 4 are promised to take half the time: lenet has 6 and 16 channels.
  void write_model(const device::Identity& device, double multiple = 4) const {
    const auto model = compress::planted_model(
        {{nn::Op::kConv2d,
          {compress::split(Field::kOutChannel, kMultiple, multiple, 1, 2),
           compress::leaf(compress::linear_law(1, 1, 0)), compress::leaf(compress::linear_law(20, 20, 0))}}},
        device);
    core::write_file_atomically(path("times.json"), model.to_json().dump());
  }
  Result expand(const std::vector<std::string>& more) const {
    std::vector<std::string> a{"expand", "--model", "m.safetensors", "--time-model", "times.json"};
    a.insert(a.end(), more.begin(), more.end());
    return run(a);
  }
  device::Identity device_;
};

TEST_F(Expand, WritesTheWiderModel) {
  write_model(device_);
  for (const char* how : {"joint", "paper"}) {
    const Result r = expand({"--out", "wide.safetensors", "--expand", how, "--verify", "off", "--json", "out.json"});
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("predicted time"));
    EXPECT_THAT(r.out, HasSubstr("conv1: expand out_channel to multiples of 4: faster whatever the channel counts"));
    const auto json = nlohmann::json::parse(core::read_file(path("out.json")));
    const nlohmann::json widths{{"conv1", 8}, {"conv2", 16}, {"fc1", 120}, {"fc2", 84}, {"fc3", 10}};
    EXPECT_EQ(json["widths"], widths);
    EXPECT_EQ(json["widths_original"]["conv1"], 6);
    EXPECT_EQ(json["widened"], true);
    EXPECT_EQ(json["expand"], how);
    EXPECT_EQ(json["verify"], "off");
    EXPECT_EQ(json["time_model"].get<std::string>().size(), 16U) << "a digest";
    EXPECT_LT(json["after_ms"]["predicted"].get<double>(), json["before_ms"]["predicted"].get<double>());
    EXPECT_TRUE(json["after_ms"]["measured"].is_null());
    EXPECT_LT(json["max_abs_output_difference"].get<double>(), 1e-4);
    const nn::Model before = nn::load_model(path("m.safetensors")), after = nn::load_model(path("wide.safetensors"));
    EXPECT_EQ(after.metadata, before.metadata);
    EXPECT_EQ(after.spec.layers[0].attr.units, 8);
    EXPECT_LT(compress::max_output_difference(before, after, 3, 1), 1e-4);
  }
}

// The folder holds what `report` reads, and is never overwritten.
TEST_F(Expand, WritesARunOfItsOwn) {
  write_model(device_);
  const Result r = expand({"--out", "runs/wide", "--json", "out.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(nn::load_model(path("runs/wide/model.safetensors")).spec.name, "lenet");
  EXPECT_EQ(core::read_file(path("runs/wide/result.json")), core::read_file(path("out.json")));
  const Result again = expand({"--out", "runs/wide"});
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("--out runs/wide: holds a run already; choose another folder"));
  EXPECT_THAT(again.err, Not(HasSubstr("--resume")));
  EXPECT_EQ(run({"report", "runs", "--out", "page.html"}).status, 0) << core::read_file(path("stderr"));
}

// Whatever the stopwatch says here, what is written, said and measured agree.
TEST_F(Expand, MeasuresBeforeItAccepts) {
  write_model(device_);
  const Result r = expand({"--out", "wide.safetensors", "--json", "out.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const auto json = nlohmann::json::parse(core::read_file(path("out.json")));
  const double before = json["before_ms"]["measured"], after = json["after_ms"]["measured"];
  ASSERT_EQ(json["candidates"].size(), 1U);  // one group was widened: nothing is left when it is taken back
  EXPECT_EQ(json["candidates"][0]["chosen"], json["widened"]);
  EXPECT_EQ(nn::load_model(path("wide.safetensors")).spec.layers[0].attr.units, json["widened"] ? 8 : 6);
  if (json["widened"]) {
    EXPECT_LT(after, before);
  } else {
    EXPECT_EQ(after, before);
    EXPECT_THAT(r.out, HasSubstr("left as it is: 1 widening was tried, none is faster when measured"));
  }
}

TEST_F(Expand, NothingToWiden) {
  write_model(device_, 2);
  const Result r = expand({"--out", "same.safetensors", "--json", "out.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("left as it is: by this time model nothing is faster when wider"));
  const auto json = nlohmann::json::parse(core::read_file(path("out.json")));
  EXPECT_EQ(json["before_ms"], json["after_ms"]);
  EXPECT_GT(json["before_ms"]["measured"].get<double>(), 0);
  EXPECT_EQ(json["max_abs_output_difference"], 0);
  const nn::Model before = nn::load_model(path("m.safetensors")), after = nn::load_model(path("same.safetensors"));
  EXPECT_TRUE(std::ranges::equal(before.parameters.all(), after.parameters.all()));
}

TEST_F(Expand, RefusesWhatCannotBe) {
  device::Identity other = device_;
  other.cpu = "Another";
  write_model(other);
  EXPECT_THAT(expand({}).err, HasSubstr("model of ANOTHER DEVICE"));
  EXPECT_THAT(expand({"--force"}).err, HasSubstr("cannot be measured here; add --verify off"));
  const Result forced = expand({"--force", "--verify", "off", "--json", "out.json"});
  EXPECT_EQ(forced.status, 0) << forced.err;
  EXPECT_THAT(forced.out, HasSubstr("model of ANOTHER DEVICE"));
  EXPECT_EQ(nlohmann::json::parse(core::read_file(path("out.json")))["machine"], device::key(other));
  EXPECT_THAT(run({"expand", "--model", "missing", "--out", "none/wide.safetensors"}).err, HasSubstr("missing: "))
      << "the first thing first";

  write_model(device_);
  fs::create_directory(path("folder.safetensors"));
  EXPECT_THAT(expand({"--out", "folder.safetensors"}).err, HasSubstr("is a folder; give a file name"));
  EXPECT_THAT(expand({"--expand", "most"}).err, HasSubstr("--expand"));
  EXPECT_THAT(expand({"--verify", "perhaps"}).err, HasSubstr("--verify"));
  fs::copy_file(path("m.safetensors"), path("my m.safetensors"));
  EXPECT_THAT(run({"expand", "--model", "my m.safetensors", "--db", "none.db"}).err,
              HasSubstr("profile --for 'my m.safetensors'"));
  core::write_file_atomically(path("times.json"), "{\"format\":");
  EXPECT_THAT(expand({}).err, HasSubstr("times.json"));
  core::write_file_atomically(path("m.safetensors"), "damaged");
  EXPECT_THAT(expand({}).err, HasSubstr("m.safetensors"));

  write_model(device_);
  const nn::Model alone =
      compress::random_model({"alone", {4}, {{nn::Op::kFc, "fc", {nn::LayerSpec::kInput}, {.units = 3}}}});
  nn::save_model(path("m.safetensors"), alone.spec, alone.parameters, {});
  EXPECT_THAT(expand({}).err, HasSubstr("network alone has no units that could go: [fc fc]: it is the output"));
}

// The benchmark of the model's own speed, with a model that knows every op.
TEST_F(Expand, PredictionsAreTimed) {
  write_model(device_);
  const Result r = run({"bench", "predict", "--time-model", "times.json", "--zoo", "lenet", "--runs", "2", "--seconds",
                        "0", "--json", "-"});
  ASSERT_EQ(r.status, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  EXPECT_GE(json["layers"], 7);
  EXPECT_GT(json["prediction_us"], 0.0);
  EXPECT_GT(json["time_alone_us"], 0.0);
}

TEST_F(Expand, SaysWhatWasNotSampled) {
  write_model(device_);
  auto json = nlohmann::json::parse(core::read_file(path("times.json")));
  json["ops"]["fc"]["scope"]["ranges"]["out_dim"]["max"] = 100;
  core::write_file_atomically(path("times.json"), json.dump());
  EXPECT_THAT(expand({"--verify", "off"}).err,
              HasSubstr("outside what was sampled: fc1: in_dim 1024 > 512; out_dim 120 > 100"));
}

}  // namespace
}  // namespace fdi::cli
