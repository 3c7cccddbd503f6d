// Single layers against what PyTorch computed (tests/fixtures/make_layer_fixtures.py): outputs, gradients of the input
// and of every weight, running statistics, in training; and the outputs of the inference network.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "nn/network.h"

namespace fdi::nn {
namespace {

using nlohmann::json;

// fp32 sums of up to 48 products of numbers up to 2 against double: a few 1e-6 each, relative to the result or to 1.
constexpr double kTolerance = 3e-5;

void expect_close(const float* got, const json& want, const std::string& what) {
  for (size_t i = 0; i < want.size(); ++i) {
    const double w = want[i];
    ASSERT_NEAR(got[i], w, kTolerance * std::max(1.0, std::abs(w))) << what << ", element " << i;
  }
}

void put(const json& from, float* to) {
  for (size_t i = 0; i < from.size(); ++i) to[i] = from[i];
}

NetworkSpec spec_of(const json& c) {
  json layer = c["attributes"];
  layer["op"] = c["op"];
  layer["name"] = "layer";
  layer["inputs"] = {"input"};
  return spec_from_json({{"name", "fixture"}, {"input", c["input_shape"]}, {"layers", {layer}}}, "layers.json");
}

class TorchFixtures : public ::testing::Test {
 protected:
  static json cases() {
    json all = json::array();
    for (const char* kind : {"image", "sequence"}) {
      const std::string path = std::string(FDI_SOURCE_DIR) + "/tests/fixtures/layers_" + kind + ".json";
      for (json& c : json::parse(core::read_file(path))) all.push_back(std::move(c));
    }
    return all;
  }
  // The weights and statistics of a case; the names must be exactly ours.
  static void load(const json& c, Parameters& parameters) {
    for (const Parameters::Entry& e : parameters.entries()) {
      const json& group = e.spec.trainable ? c["weights"] : c["state_before"];
      ASSERT_TRUE(group.contains(e.spec.name)) << e.name;
      ASSERT_EQ(group[e.spec.name].size(), static_cast<size_t>(e.spec.shape.size())) << e.name;
      put(group[e.spec.name], parameters.tensor(e).data);
    }
  }
};

TEST_F(TorchFixtures, TrainingNetworksAgree) {
  int compared = 0;
  for (const json& c : cases()) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const NetworkSpec spec = spec_of(c);
    Parameters parameters(spec);
    load(c, parameters);
    const int batch = c["batch"];
    Network network(spec, parameters, batch, Mode::kTraining, true);
    const std::vector<int> lengths = c["lengths"];
    const Pass pass{.batch = batch, .training = c["training"], .lengths = lengths};
    put(c["x"], network.input().data);
    const Tensor y = network.forward(pass);
    ASSERT_EQ(static_cast<size_t>(y.size()), c["y"].size());
    expect_close(y.data, c["y"], "y");
    for (const Parameters::Entry& e : parameters.entries())
      if (!e.spec.trainable) expect_close(parameters.tensor(e).data, c["state_after"][e.spec.name], e.name);
    ++compared;
    if (!pass.training) continue;
    std::vector<float> dy(c["dy"].size());
    put(c["dy"], dy.data());
    network.backward(pass, {dy.data(), y.shape});
    expect_close(network.input_gradient().data, c["dx"], "dx");
    for (const Parameters::Entry& e : parameters.entries())
      if (e.spec.trainable)
        expect_close(network.gradients().data() + e.offset, c["gradients"][e.spec.name], "gradient of " + e.name);
  }
  EXPECT_EQ(compared, 15);
}

TEST_F(TorchFixtures, InferenceNetworksAgree) {
  for (const json& c : cases()) {
    if (c["op"] == "batch_norm" && c["training"]) continue;  // uses the batch's statistics
    SCOPED_TRACE(c["name"].get<std::string>());
    const NetworkSpec spec = spec_of(c);
    Parameters parameters(spec);
    load(c, parameters);
    const int batch = c["batch"];
    Network network(spec, parameters, batch, Mode::kInference);
    const std::vector<int> lengths = c["lengths"];
    put(c["x"], network.input().data);
    expect_close(network.forward({.batch = batch, .lengths = lengths}).data, c["y"], "y");
  }
}

}  // namespace
}  // namespace fdi::nn
