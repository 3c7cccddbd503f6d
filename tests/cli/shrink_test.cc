// `shrink` through the program: the smaller model is a model like any other.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "nn/model_file.h"
#include "tests/cli/program.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;

TEST_F(Program, ShrinksAModel) {
  const std::string data = "synthetic:classes=4,height=16,width=16,train=160,test=40";
  ASSERT_EQ(run({"train", "--zoo", "lenet", "--data", data, "--epochs", "1", "--batch", "32", "--lr", "0.02",
                 "--threads", "1", "--out", "run"})
                .status,
            0);
  core::write_file_atomically(path("keep.json"), R"({"conv1": [0, 2, 5], "fc1": [7, 3]})");
  const Result r = run({"shrink", "--model", "run/model.safetensors", "--keep", "keep.json", "--out",
                        "small.safetensors", "--db", "none.db", "--json", "out.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("measured time"));
  const auto json = nlohmann::json::parse(core::read_file(path("out.json")));
  EXPECT_EQ(json["widths"], (nlohmann::json{{"conv1", 3}, {"conv2", 16}, {"fc1", 2}, {"fc2", 84}, {"fc3", 4}}));
  EXPECT_GT(json["before_ms"]["measured"].get<double>(), 0);
  EXPECT_GT(json["after_ms"]["measured"].get<double>(), 0);
  EXPECT_LT(json["max_abs_output_difference"].get<double>(), 1e-4);
  EXPECT_TRUE(json["after_ms"]["predicted"].is_null()) << "there is no time model";
  EXPECT_LT(json["peak_memory_mb"].get<double>(), json["peak_memory_mb_before"].get<double>());
  EXPECT_LT(json["parameters"].get<int64_t>(), json["parameters_before"].get<int64_t>());

  // Classes and normalisation came along: the smaller model is evaluated like any other.
  EXPECT_EQ(nn::load_model(path("small.safetensors")).metadata, nn::load_model(path("run/model.safetensors")).metadata);
  EXPECT_EQ(run({"eval", "--model", "small.safetensors", "--data", data}).status, 0);

  core::write_file_atomically(path("keep.json"), R"({"conv1": [99]})");
  const Result bad = run({"shrink", "--model", "run/model.safetensors", "--keep", "keep.json", "--out", "x"});
  EXPECT_EQ(bad.status, 2);
  EXPECT_THAT(bad.err, HasSubstr("keep.json: conv1: unit 99: want an integer from 0 to 5"));
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

}  // namespace
}  // namespace fdi::cli
