// `shrink` through the program: the smaller model is a model like any other.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/model_file.h"
#include "nn/zoo.h"
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
  EXPECT_THAT(r.out, HasSubstr(" from the model whose other units are switched off\n"));
  EXPECT_THAT(r.out, HasSubstr("the accuracy is that of the model without these units: lower, until it is trained on"));
  EXPECT_THAT(r.out, HasSubstr(" MiB with "));
  const auto json = nlohmann::json::parse(core::read_file(path("out.json")));
  EXPECT_EQ(json["widths"], (nlohmann::json{{"conv1", 3}, {"conv2", 16}, {"fc1", 2}, {"fc2", 84}, {"fc3", 4}}));
  EXPECT_GT(json["before_ms"]["measured"].get<double>(), 0);
  EXPECT_GT(json["after_ms"]["measured"].get<double>(), 0);
  EXPECT_LT(json["max_abs_output_difference"].get<double>(), 1e-4);
  EXPECT_TRUE(json["after_ms"]["predicted"].is_null()) << "there is no time model";
  EXPECT_LT(json["peak_memory_mib"].get<double>(), json["peak_memory_mib_before"].get<double>());
  EXPECT_LT(json["parameters"].get<int64_t>(), json["parameters_before"].get<int64_t>());

  // Classes and normalisation came along: the smaller model is evaluated like any other.
  EXPECT_EQ(nn::load_model(path("small.safetensors")).metadata, nn::load_model(path("run/model.safetensors")).metadata);
  EXPECT_EQ(run({"eval", "--model", "small.safetensors", "--data", data}).status, 0);

  for (const std::string model : {"run/model.safetensors", "run"}) {
    const Result same = run({"shrink", "--model", model, "--keep", "keep.json", "--out", "./run/model.safetensors"});
    EXPECT_EQ(same.status, 2);
    EXPECT_THAT(
        same.err,
        HasSubstr("--out ./run/model.safetensors: is the file of --model, too, and would be lost; give another name"));
  }

  core::write_file_atomically(path("keep.json"), R"({"conv1": [99]})");
  const Result bad = run({"shrink", "--model", "run/model.safetensors", "--keep", "keep.json", "--out", "x"});
  EXPECT_EQ(bad.status, 2);
  EXPECT_THAT(bad.err, HasSubstr("keep.json: conv1: unit 99: want an integer from 0 to 5"));
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

// One network, given in every way that a shell and a run have; and what is no network.
TEST_F(Program, TakesAModelFromPipesAndRunFolders) {
  const nn::NetworkSpec spec = nn::make_zoo("lenet");
  nn::Parameters parameters(spec);
  parameters.initialize(1);
  std::filesystem::create_directory(path("run"));
  nn::save_model(path("run/model.safetensors"), spec, parameters, {});
  core::write_file_atomically(path("net.json"), nn::spec_to_json(spec).dump());
  const auto shell = [&](const std::string& command) {
    const std::string line = fmt::format("cd '{}' && {} > out.txt 2> err.txt", dir_.string(), command);
    const int status = std::system(fmt::format("bash -c \"{}\"", line).c_str());
    return Result{WEXITSTATUS(status), core::read_file(path("out.txt")), core::read_file(path("err.txt")), 0};
  };
  const std::string program = FDI_PROGRAM, table = run({"info", "--model", "run/model.safetensors"}).out;
  EXPECT_THAT(table, HasSubstr("fc3"));
  for (const std::string& way :
       {program + " info --model run", "cat run/model.safetensors | " + program + " info --model /dev/stdin",
        program + " info --model - < run/model.safetensors", program + " info --model <(cat run/model.safetensors)",
        "cat net.json | " + program + " info --spec -", program + " info --spec <(cat net.json)"}) {
    const Result r = shell(way);
    EXPECT_EQ(r.status, 0) << way << r.err;
    EXPECT_EQ(r.out, table) << way;
  }
  const Result keep =
      shell("echo '{}' | " + program + " shrink --model run --keep - --db none.db --out same.safetensors");
  EXPECT_EQ(keep.status, 0) << keep.err;
  core::write_file_atomically(path("keep.json"), R"({"conv1": [0], "conv1": [1]})");
  const Result twice = run({"shrink", "--model", "run", "--keep", "keep.json", "--out", "x"});
  EXPECT_EQ(twice.status, 2);
  EXPECT_THAT(twice.err, HasSubstr("keep.json: the key \"conv1\" is there twice; remove one of them"));
}

// Every command that reads a model: refused by the reader, which they share.
TEST_F(Program, ARuinedModelIsRefusedByEveryCommand) {
  const nn::NetworkSpec spec = nn::make_zoo("lenet");
  nn::Parameters parameters(spec);
  parameters.initialize(1);
  parameters.tensor(*parameters.find("fc3.bias")).data[7] = std::nanf("");
  nn::save_model(path("m.safetensors"), spec, parameters, {});
  core::write_file_atomically(path("keep.json"), "{}");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"info"},
        {"eval"},
        {"predict"},
        {"shrink", "--keep", "keep.json", "--out", "x"},
        {"expand", "--out", "x.safetensors"},
        {"compress", "--method", "knapsack", "--target-size", "50%", "--out", "x"}}) {
    std::vector<std::string> words = command;
    words.insert(words.end(), {"--model", "m.safetensors"});
    const Result r = run(words);
    EXPECT_EQ(r.status, 2) << command[0];
    EXPECT_THAT(r.err, HasSubstr("m.safetensors: tensor fc3.bias holds nan at (7)")) << command[0];
  }
}

}  // namespace
}  // namespace fdi::cli
