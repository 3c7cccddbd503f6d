// Single layers against what PyTorch computed (tests/fixtures/make_layer_fixtures.py): outputs, gradients of the input
// and of every weight, running statistics, in training; and the outputs of the inference network.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "kernels/winograd.h"
#include "nn/network.h"
#include "nn/window.h"

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
  EXPECT_EQ(compared, 18);
}

// ((a i^2 + b i) mod 61 - 30) / 32, as the script makes them.
void make_up(int64_t a, int64_t b, std::span<float> out) {
  for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i)
    out[i] = static_cast<float>((a * i * i + b * i) % 61 - 30) / 32.0F;
}

TEST_F(TorchFixtures, AConvolutionByWinogradAgrees) {
  const json want = json::parse(core::read_file(FDI_SOURCE_DIR "/tests/fixtures/layers_large.json"));
  const int batch = 4;
  const NetworkSpec spec{
      "large", {16, 16, 16}, {{Op::kConv2d, "conv", {LayerSpec::kInput}, {.units = 16, .kernel = {3, 3}}}}};
  ASSERT_TRUE(kernels::winograd_pays(window(spec.layers[0], spec.input).geometry, batch)) << "make it larger";
  Parameters parameters(spec);
  make_up(5, 11, parameters.tensor(*parameters.find("conv.weight")).span());
  make_up(3, 1, parameters.tensor(*parameters.find("conv.bias")).span());
  Network network(spec, parameters, batch, Mode::kTraining, true);
  make_up(7, 13, network.input().span());
  const Pass pass{.batch = batch, .training = true};
  const Tensor y = network.forward(pass);
  const std::vector<float> got_y(y.data, y.data + y.size());
  std::vector<float> dy(got_y.size());
  make_up(3, 17, dy);
  network.backward(pass, {dy.data(), y.shape});

  constexpr double kWinogradTolerance = 2e-4;  // ten times the direct product's, of sums of 144 and of 1024 products
  const auto expect = [&](std::span<const float> got, const char* name) {
    const auto every = want["every"].get<size_t>();
    ASSERT_EQ(want[name].size(), (got.size() + every - 1) / every) << name;
    for (size_t i = 0; i < want[name].size(); ++i) {
      const double w = want[name][i];
      EXPECT_NEAR(got[i * every], w, kWinogradTolerance * std::max(1.0, std::abs(w))) << name << ", " << i * every;
    }
  };
  expect(got_y, "y");
  expect(network.input_gradient().span(), "dx");
  for (const char* name : {"weight", "bias"}) {
    const Parameters::Entry& e = *parameters.find(std::string("conv.") + name);
    expect(network.gradients().subspan(static_cast<size_t>(e.offset), static_cast<size_t>(e.spec.shape.size())), name);
  }
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
