// NetworkSpec: JSON there and back, order, and every refusal with its message.
#include "nn/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/layer.h"

namespace fdi::nn {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

NetworkSpec parse(const std::string& text) { return spec_from_json(parse_json(text, "net.json"), "net.json"); }

std::string layer(const std::string& rest) { return R"({"input": [8, 8, 3], "layers": [)" + rest + "]}"; }

std::string spec_error(const std::string& text) {
  try {
    parse(text);
  } catch (const core::Error& e) {
    return e.what();
  }
  return "no error";
}

constexpr const char* kResidual = R"({"name": "res", "input": [8, 8, 3], "layers": [
  {"op": "fc", "name": "out", "inputs": ["flat"], "units": 10},
  {"op": "flatten", "name": "flat", "inputs": ["sum"]},
  {"op": "add", "name": "sum", "inputs": ["conv2", "conv1"], "relu": true},
  {"op": "conv2d", "name": "conv1", "inputs": ["input"], "units": 4, "kernel": 3, "stride": [2, 2]},
  {"op": "conv2d", "name": "conv2", "inputs": ["conv1"], "units": 4, "kernel": [3, 1], "bias": false}]})";

TEST(Spec, SortsLayersAndInfersShapes) {
  const NetworkSpec spec = parse(kResidual);
  std::vector<std::string> names;
  for (const LayerSpec& l : spec.layers) names.push_back(l.name);
  EXPECT_THAT(names, ::testing::ElementsAre("conv1", "conv2", "sum", "flat", "out"));
  EXPECT_THAT(spec.layers[2].inputs, ::testing::ElementsAre(1, 0));
  EXPECT_THAT(output_shapes(spec),
              ::testing::ElementsAre(Shape{4, 4, 4}, Shape{4, 4, 4}, Shape{4, 4, 4}, Shape{64}, Shape{10}));
}

TEST(Spec, JsonRoundTripIsExact) {
  const NetworkSpec spec = parse(kResidual);
  EXPECT_EQ(spec_from_json(spec_to_json(spec), "again"), spec);
  EXPECT_EQ(spec_to_json(spec)["layers"][0]["kernel"], (json{3, 3}));
}

TEST(Spec, LayersInOrderStayInOrder) {
  const NetworkSpec spec = parse(layer(R"({"op":"conv2d","name":"b","inputs":["input"],"units":1,"kernel":1},
    {"op":"conv2d","name":"a","inputs":["input"],"units":1,"kernel":1},
    {"op":"concat","name":"c","inputs":["a","b"],"axis":2})"));
  EXPECT_EQ(spec.layers[0].name, "b");
  EXPECT_THAT(spec.layers[2].inputs, ::testing::ElementsAre(1, 0));
}

TEST(Spec, CycleIsListed) {
  const std::string message = spec_error(layer(R"({"op":"add","name":"a","inputs":["input","c"]},
    {"op":"add","name":"b","inputs":["a","a"]}, {"op":"add","name":"c","inputs":["b","input"]},
    {"op":"add","name":"d","inputs":["c","input"]})"));
  EXPECT_EQ(message, "net.json: the layers form a cycle: a <- c <- b <- a; remove one of these inputs");
  EXPECT_THAT(spec_error(layer(R"({"op":"add","name":"a","inputs":["a","input"]})")), HasSubstr("a <- a;"));
}

struct Refusal {
  const char* title;
  std::string text;
  std::string message;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.text; }

class SpecRefuses : public ::testing::TestWithParam<Refusal> {};

TEST_P(SpecRefuses, WithTheReason) {
  const std::string message = spec_error(GetParam().text);
  EXPECT_THAT(message, AllOf(HasSubstr("net.json: "), HasSubstr(GetParam().message), Not(HasSubstr("\n"))));
}

std::string conv(const std::string& rest) {
  return layer(R"({"op":"conv2d","name":"c1","inputs":["input"],)" + rest + "}");
}

INSTANTIATE_TEST_SUITE_P(
    All, SpecRefuses,
    ::testing::Values(
        Refusal{"not_json", "{\"input\": [8,", "byte 14: not JSON"}, Refusal{"empty", "", "byte 1: not JSON"},
        Refusal{"huge_number", R"({"input": [1e999]})", "not JSON"},
        Refusal{"not_an_object", "[1]", "the network is a array, want an object"},
        Refusal{"no_layers", R"({"input": [8, 8, 3]})", "network: \"layers\" is missing"},
        Refusal{"zero_layers", R"({"input": [8, 8, 3], "layers": []})", "network has 0 layers, want 1 to 10000"},
        Refusal{"layers_no_list", R"({"input": [8], "layers": 3})", "\"layers\" is a number, want a list"},
        Refusal{"no_input", R"({"layers": []})", "network: \"input\" is missing"},
        Refusal{"input_is_text", R"({"input": "big", "layers": []})", "\"input\" is no shape"},
        Refusal{"input_rank_5", R"({"input": [1,1,1,1,1], "layers": []})", "want 1 to 4 integers"},
        Refusal{"input_negative", R"({"input": [-8], "layers": []})", "network input has shape (-8)"},
        Refusal{"input_fraction", R"({"input": [1.5], "layers": []})", "\"input\" is no shape"},
        Refusal{"input_past_int", R"({"input": [18446744073709551615], "layers": []})", "\"input\" is no shape"},
        Refusal{"input_too_large", R"({"input": [16777216, 16777216], "layers": []})", "at most 1073741824 elements"},
        Refusal{"unknown_key", R"({"input": [8], "layer": []})", "unknown key \"layer\"; known: name, input, layers"},
        Refusal{"bad_network_name", R"({"name": "a\nb", "input": [8], "layers": []})", "network: the name has a char"},
        Refusal{"layer_is_number", layer("7"), "layer 0: is a number, want an object"},
        Refusal{"no_name", layer(R"({"op":"add"})"), "layer 0: \"name\" is missing"},
        Refusal{"name_is_number", layer(R"({"op":"add","name":1})"), "layer 0: \"name\" is a number, want a string"},
        Refusal{"empty_name", layer(R"({"op":"add","name":""})"), "layer 0: the name is empty"},
        Refusal{"long_name", layer(R"({"op":"add","name":")" + std::string(101, 'a') + "\"}"), "the name is too long"},
        Refusal{"name_with_newline", layer(R"({"op":"add","name":"a\nb"})"), "character that is not allowed"},
        Refusal{"name_input", layer(R"({"op":"add","name":"input"})"), "\"input\" is the network's input"},
        Refusal{"no_op", layer(R"({"name":"a"})"), "layer 0 (a): \"op\" is missing"},
        Refusal{"unknown_op", layer(R"({"op":"convolve","name":"a"})"),
                "layer 0 (a): unknown op \"convolve\"; known: conv2d, "},
        Refusal{"no_inputs", layer(R"({"op":"add","name":"a"})"), "layer 0 (a): \"inputs\" is missing"},
        Refusal{"inputs_text", layer(R"({"op":"add","name":"a","inputs":"input"})"), "\"inputs\" is a string, want"},
        Refusal{"input_number", layer(R"({"op":"add","name":"a","inputs":[0]})"), "an input is a number"},
        Refusal{"missing_input", layer(R"({"op":"flatten","name":"a","inputs":["b"]})"),
                "[flatten a] reads \"b\", which is no layer"},
        Refusal{"duplicate", layer(R"({"op":"flatten","name":"a","inputs":["input"]},
                                      {"op":"flatten","name":"a","inputs":["input"]})"),
                "[flatten a] has the name of an earlier layer"},
        Refusal{"unread", layer(R"({"op":"flatten","name":"a","inputs":["input"]},
                                   {"op":"flatten","name":"b","inputs":["input"]})"),
                "[flatten a] is read by no layer, but [flatten b] is the output"},
        Refusal{"arity", layer(R"({"op":"flatten","name":"a","inputs":["input","input"]})"),
                "[flatten a] got 2 inputs, want 1"},
        Refusal{"arity_range", layer(R"({"op":"add","name":"a","inputs":["input"]})"),
                "[add a] got 1 inputs, want 2 to 64"},
        Refusal{"unknown_attribute", layer(R"({"op":"flatten","name":"a","inputs":["input"],"unit":1})"),
                "[flatten a] unknown attribute \"unit\"; known: op, name, inputs"},
        Refusal{"attribute_missing", conv(R"("units":4)"), "[conv2d c1] the attribute \"kernel\" is missing"},
        Refusal{"pool_stride", layer(R"({"op":"max_pool","name":"p","inputs":["input"],"kernel":2})"),
                "[max_pool p] the attribute \"stride\" is missing"},
        Refusal{"negative_units", conv(R"("units":-4,"kernel":3)"),
                "[conv2d c1] units: got -4, want an integer from 1 to 16777216"},
        Refusal{"units_past_int", conv(R"("units":4294967296,"kernel":3)"), "units: got 4294967296, want"},
        Refusal{"units_past_int64", conv(R"("units":18446744073709551615,"kernel":3)"), "units: got 1844674407370955"},
        Refusal{"units_text", conv(R"("units":"4","kernel":3)"), "units: got \"4\", want"},
        Refusal{"units_fraction", conv(R"("units":4.5,"kernel":3)"), "units: got 4.5, want"},
        Refusal{"zero_stride", conv(R"("units":4,"kernel":3,"stride":[0,1])"), "stride: got [0,1], want [height"},
        Refusal{"kernel_of_3", conv(R"("units":4,"kernel":[3,3,3])"), "kernel: got [3,3,3], want [height, width]"},
        Refusal{"padding", conv(R"("units":4,"kernel":3,"padding":"full")"), "got \"full\", want \"same\" or \"valid"},
        Refusal{"bias_number", conv(R"("units":4,"kernel":3,"bias":1)"), "bias: got 1, want true or false"},
        Refusal{"kernel_too_large", conv(R"("units":4,"kernel":9,"padding":"valid")"),
                "[conv2d c1] got (8, 8, 3), want at least 9 x 9 pixels"},
        Refusal{"weights_overflow", conv(R"("units":16777216,"kernel":16777216)"),
                "[conv2d c1] kernel: got 16777216 x 16777216, want at most 1073741824 pixels"},
        Refusal{"weights_too_large", conv(R"("units":16777216,"kernel":[16777216,1])"),
                "[conv2d c1] weight has shape (16777216, 1, 3, 16777216)"},
        Refusal{"pool_overflow",
                layer(R"({"op":"avg_pool","name":"p","inputs":["input"],"kernel":16777216,"stride":1})"),
                "[avg_pool p] kernel: got 16777216 x 16777216, want at most 1073741824 pixels"},
        Refusal{"output_too_large", conv(R"("units":16777217,"kernel":1)"), "units: got 16777217"},
        Refusal{"rate_1", layer(R"({"op":"dropout","name":"d","inputs":["input"],"rate":1})"),
                "[dropout d] rate: got 1.0, want a number from 0 to below 1"},
        Refusal{"rate_text", layer(R"({"op":"dropout","name":"d","inputs":["input"],"rate":"0.5"})"),
                "got \"0.5\", want"},
        Refusal{"rate_past_float", layer(R"({"op":"dropout","name":"d","inputs":["input"],"rate":1e300})"),
                "rate: got 1e+300, want"},
        Refusal{"epsilon_0", layer(R"({"op":"batch_norm","name":"b","inputs":["input"],"epsilon":0})"),
                "[batch_norm b] epsilon: got 0.0, want a number from 1e-12 to 1"},
        Refusal{"momentum_2", layer(R"({"op":"batch_norm","name":"b","inputs":["input"],"momentum":2})"),
                "momentum: got 2.0, want a number from 0 to 1"},
        Refusal{"conv_of_vector", R"({"input":[8],"layers":[
                  {"op":"conv2d","name":"c","inputs":["input"],"units":1,"kernel":1}]})",
                "[conv2d c] got (8), want an image"},
        Refusal{"fc_of_image", layer(R"({"op":"fc","name":"f","inputs":["input"],"units":1})"),
                "[fc f] got (8, 8, 3), want a vector (feature) or a sequence"},
        Refusal{"add_shapes", layer(R"({"op":"flatten","name":"a","inputs":["input"]},
                                       {"op":"add","name":"b","inputs":["input","a"]})"),
                "[add b] got (8, 8, 3) and (192), want the same shape"},
        Refusal{"concat_shapes", layer(R"({"op":"flatten","name":"a","inputs":["input"]},
                                          {"op":"concat","name":"b","inputs":["input","a"],"axis":0})"),
                "[concat b] got (8, 8, 3) and (192), want the same extents on all axes but 0"},
        Refusal{"concat_axis", layer(R"({"op":"concat","name":"b","inputs":["input"],"axis":3})"),
                "[concat b] got (8, 8, 3), want more than 3 axes"},
        Refusal{"axis_4", layer(R"({"op":"concat","name":"b","inputs":["input"],"axis":4})"), "axis: got 4, want"},
        Refusal{"slice_axis", layer(R"({"op":"slice","name":"b","inputs":["input"],"axis":3,"begin":0,"end":1})"),
                "[slice b] got (8, 8, 3), want more than 3 axes"},
        Refusal{"slice_range", layer(R"({"op":"slice","name":"b","inputs":["input"],"axis":2,"begin":1,"end":4})"),
                "[slice b] got (8, 8, 3), want 0 <= begin < end <= 3 on axis 2, not [1, 4)"},
        Refusal{"slice_empty", layer(R"({"op":"slice","name":"b","inputs":["input"],"axis":2,"begin":1,"end":1})"),
                "not [1, 1)"},
        Refusal{"slice_begin", layer(R"({"op":"slice","name":"b","inputs":["input"],"axis":2,"begin":-1,"end":1})"),
                "begin: got -1, want an integer from 0"},
        Refusal{"reshape", layer(R"({"op":"reshape","name":"r","inputs":["input"],"shape":[8,8,4]})"),
                "[reshape r] got (8, 8, 3) with 192 elements, want as many as (8, 8, 4) has"},
        Refusal{"reshape_overflow",
                layer(R"({"op":"reshape","name":"r","inputs":["input"],"shape":[16777216,16777216,16777216,3]})"),
                "want as many as"},
        Refusal{"reshape_zero", layer(R"({"op":"reshape","name":"r","inputs":["input"],"shape":[0]})"),
                "shape: got [0], want 1 to 4 integers"}),
    [](const auto& refusal) { return refusal.param.title; });

TEST(Spec, TooManyLayersAreRefusedBeforeTheyAreRead) {
  json object = {{"input", {1}}, {"layers", json::array()}};
  for (int i = 0; i <= kMaxLayers; ++i) object["layers"].push_back(0);
  EXPECT_THROW(
      {
        try {
          spec_from_json(object, "x");
        } catch (const core::Error& e) {
          EXPECT_STREQ(e.what(), "x: network has 10001 layers, want 1 to 10000");
          throw;
        }
      },
      core::Error);
}

TEST(Spec, BuiltByHandIsCheckedToo) {
  NetworkSpec spec{"x", {8}, {{Op::kFc, "a", {1}, {.units = 2}}, {Op::kFc, "b", {0}, {.units = 2}}}};
  EXPECT_THROW(output_shapes(spec), core::Error);
  spec.layers[0].inputs = {LayerSpec::kInput};
  EXPECT_EQ(output_shapes(spec).back(), (Shape{2}));
  spec.layers[1].attr.units = 0;
  EXPECT_THROW(output_shapes(spec), core::Error);
}

TEST(Spec, DeepNestingDoesNotOverflowTheStack) {
  EXPECT_THAT(spec_error(std::string(200000, '[')), HasSubstr("not JSON"));
  EXPECT_THAT(spec_error(std::string(200000, '[') + std::string(200000, ']')), HasSubstr("want an object"));
}

struct ShapeCase {
  Shape in;
  Attributes attr;
  Shape out;
};

TEST(Spec, WindowsFollowTensorFlowsRules) {
  const ShapeCase cases[] = {
      {{32, 32, 3}, {.units = 8, .kernel = {3, 3}}, {32, 32, 8}},
      {{32, 32, 3}, {.units = 8, .kernel = {3, 3}, .stride = {2, 2}}, {16, 16, 8}},
      {{33, 31, 3}, {.units = 8, .kernel = {2, 2}, .stride = {2, 2}}, {17, 16, 8}},
      {{33, 31, 3}, {.units = 8, .kernel = {2, 2}, .stride = {2, 2}, .padding = Padding::kValid}, {16, 15, 8}},
      {{20, 1, 60, 1}, {.units = 64, .kernel = {1, 18}, .stride = {1, 6}, .padding = Padding::kValid}, {20, 1, 8, 64}},
      {{1, 1, 1}, {.units = 1, .kernel = {5, 5}}, {1, 1, 1}},
  };
  for (const ShapeCase& c : cases) {
    const LayerSpec spec{Op::kConv2d, "c", {LayerSpec::kInput}, c.attr};
    EXPECT_EQ(output_shape(spec, std::span(&c.in, 1)), c.out) << core::to_string(c.in);
  }
}

TEST(Spec, FcActsOnTheLastAxisOfASequence) {
  const LayerSpec spec{Op::kFc, "f", {LayerSpec::kInput}, {.units = 7}};
  const Shape in{20, 12};
  EXPECT_EQ(output_shape(spec, std::span(&in, 1)), (Shape{20, 7}));
}

TEST(Ops, EveryRowIsWhole) {
  for (const OpInfo* info : all_ops()) {
    EXPECT_EQ(&op_info(info->op), info);
    EXPECT_LE(info->min_inputs, info->max_inputs) << info->name;
    EXPECT_TRUE(info->output_shape && info->parameters && info->flops && info->make) << info->name;
    for (const char* key : info->required)
      EXPECT_NE(std::find(info->attributes.begin(), info->attributes.end(), std::string(key)), info->attributes.end())
          << info->name << " requires " << key;
  }
}

// The values name random streams and order the parts of a fit: what is stored was drawn with them.
TEST(Ops, KeepTheirNumbers) {
  const char* const names[] = {"conv2d",
                               "fc",
                               "batch_norm",
                               "relu",
                               "tanh",
                               "sigmoid",
                               "max_pool",
                               "avg_pool",
                               "global_avg_pool",
                               "dropout",
                               "channel_dropout",
                               "flatten",
                               "reshape",
                               "slice",
                               "concat",
                               "add",
                               "gru",
                               "lstm",
                               "time_mean",
                               "mask"};
  ASSERT_EQ(all_ops().size(), std::size(names)) << "a new op: append it here, too";
  for (size_t i = 0; i < std::size(names); ++i) EXPECT_EQ(op_name(static_cast<Op>(i)), names[i]);
}

}  // namespace
}  // namespace fdi::nn
