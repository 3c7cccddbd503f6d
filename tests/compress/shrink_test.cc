// shrink: the smaller network against the original whose other units are masked.
#include "compress/shrink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/rng.h"
#include "nn/builder.h"
#include "nn/zoo.h"
#include "tests/compress/stepped_model.h"
#include "tests/nn/deepsense_like.h"

namespace fdi::compress {
namespace {

using nn::Op;
using testing::HasSubstr;

Keep random_keep(const nn::UnitGroups& groups, double part, uint64_t seed) {
  Keep keep;
  core::Rng rng(seed, core::Stream::kTest);
  for (const nn::UnitGroup& group : groups.groups) {
    std::vector<int> units;
    for (int u = 0; u < group.count; ++u)
      if (rng.uniform() < static_cast<float>(part)) units.push_back(u);
    if (units.empty()) units.push_back(group.count / 2);
    keep.units.push_back(units);
  }
  return keep;
}

// Largest output, to state differences in units of it.
double largest_output(const nn::Model& model) {
  nn::Model zero{model.spec, nn::Parameters(model.spec), {}};
  return max_output_difference(model, zero, 3, 1);
}

// The same products are summed; where zeros were between them, the kernels may start a new partial sum at another
// place. Each of the at most 20 layers in a row rounds its sums of up to 600 products anew.
constexpr double kTolerance = 2e-6;  // of the largest output

TEST(Shrink, EqualsTheMaskedNetwork) {
  for (const nn::NetworkSpec& spec :
       {nn::make_zoo("vgg16", {.width = 0.125}), nn::make_zoo("vgg16", {.width = 0.0625, .input = {64, 64, 3}}),
        nn::make_zoo("resnet20"), nn::deepsense_like(true), nn::deepsense_like(false)})
    for (const double part : {0.0, 0.3, 0.8}) {
      const nn::Model model = random_model(spec);
      const nn::UnitGroups groups = nn::unit_groups(spec);
      const Keep keep = random_keep(groups, part, 7);
      const nn::Model small = shrink(model, groups, keep), mask = masked(model, groups, keep);
      const double largest = largest_output(mask);
      EXPECT_GT(largest, 1e-3);
      EXPECT_LE(max_output_difference(small, mask, 3, 1), kTolerance * largest) << spec.name << " " << part;
      EXPECT_GT(max_output_difference(small, model, 3, 1), 1e-3 * largest) << "the mask changes nothing";
      EXPECT_LT(small.parameters.all().size(), model.parameters.all().size());
      EXPECT_EQ(small.metadata, model.metadata);
    }
}

// Where each sum is one of at most a few products nothing is rounded differently: equal to the last bit.
TEST(Shrink, SmallNetworksAgreeBitForBit) {
  const nn::NetworkSpec spec{"small",
                             {4, 3},
                             {{Op::kFc, "a", {nn::LayerSpec::kInput}, {.units = 5}},
                              {Op::kLstm, "b", {0}, {.units = 4}},
                              {Op::kGru, "c", {1}, {.units = 6}},
                              {Op::kTimeMean, "mean", {2}, {}},
                              {Op::kFc, "fc", {3}, {.units = 2}}}};
  const nn::Model model = random_model(spec);
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const Keep keep{{{0, 3}, {1, 2, 3}, {0, 4}}};
  EXPECT_EQ(max_output_difference(shrink(model, groups, keep), masked(model, groups, keep), 5, 1), 0);
}

TEST(Shrink, KeepingAllChangesNothing) {
  const nn::Model model = random_model(nn::deepsense_like(true));
  const nn::UnitGroups groups = nn::unit_groups(model.spec);
  const nn::Model same = shrink(model, groups, keep_all(groups));
  EXPECT_EQ(same.spec, model.spec);
  EXPECT_TRUE(std::equal(same.parameters.all().begin(), same.parameters.all().end(), model.parameters.all().begin()));
}

std::vector<int> wider(const nn::UnitGroups& groups, uint64_t seed) {
  core::Rng rng(seed, core::Stream::kTest);
  std::vector<int> widths = nn::group_counts(groups);
  for (int& width : widths) width += static_cast<int>(rng.below(20));
  return widths;
}

// What was added is 0 and read by zeros: sums of the same products, with zeros between them.
TEST(Widen, OutputsAreEqual) {
  for (const nn::NetworkSpec& spec :
       {nn::make_zoo("vgg16", {.width = 0.125}), nn::make_zoo("vgg16", {.width = 0.0625, .input = {64, 64, 3}}),
        nn::make_zoo("resnet20"), nn::deepsense_like(true), nn::deepsense_like(false)}) {
    const nn::Model model = random_model(spec);
    const nn::UnitGroups groups = nn::unit_groups(spec);
    const nn::Model wide = widen(model, groups, wider(groups, 3));
    EXPECT_GT(wide.parameters.all().size(), model.parameters.all().size());
    EXPECT_LE(max_output_difference(wide, model, 3, 1), kTolerance * largest_output(model)) << spec.name;
    EXPECT_EQ(wide.metadata, model.metadata);
  }
}

// Nothing is lost or moved: the units that were there, shrunk to again, are the network as it was, bit for bit.
TEST(Widen, ShrinkTakesItBack) {
  for (const nn::NetworkSpec& spec : {nn::make_zoo("vgg16", {.width = 0.0625, .input = {64, 64, 3}}),
                                      nn::make_zoo("resnet20"), nn::deepsense_like(true), nn::deepsense_like(false)}) {
    const nn::Model model = random_model(spec);
    const nn::UnitGroups groups = nn::unit_groups(spec);
    const nn::Model wide = widen(model, groups, wider(groups, 4));
    const nn::Model back = shrink(wide, nn::unit_groups(wide.spec), keep_all(groups));
    EXPECT_EQ(back.spec, model.spec);
    EXPECT_TRUE(std::ranges::equal(back.parameters.all(), model.parameters.all()));
  }
}

// As for shrink: few products a sum, nothing is rounded differently.
TEST(Widen, SmallNetworksAgreeBitForBit) {
  const nn::NetworkSpec spec{"small",
                             {4, 3},
                             {{Op::kFc, "a", {nn::LayerSpec::kInput}, {.units = 5}},
                              {Op::kSigmoid, "a_sigmoid", {0}, {}},
                              {Op::kLstm, "b", {1}, {.units = 4}},
                              {Op::kGru, "c", {2}, {.units = 6}},
                              {Op::kTimeMean, "mean", {3}, {}},
                              {Op::kFc, "fc", {4}, {.units = 2}}}};
  const nn::Model model = random_model(spec);
  const nn::UnitGroups groups = nn::unit_groups(spec);
  EXPECT_EQ(max_output_difference(widen(model, groups, std::vector{8, 7, 6}), model, 5, 1), 0);
}

TEST(Shrink, AnEmptyGroupNamesTheLayer) {
  const nn::Model model = random_model(nn::make_zoo("lenet"));
  const nn::UnitGroups groups = nn::unit_groups(model.spec);
  Keep keep = keep_all(groups);
  keep.units[1].clear();
  try {
    shrink(model, groups, keep);
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("[conv2d conv2]: 0 units left"));
  }
}

TEST(Keep, ThereAndBack) {
  const nn::NetworkSpec spec = nn::make_zoo("resnet20");
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const Keep keep = random_keep(groups, 0.5, 2);
  EXPECT_EQ(keep_from_json(keep_to_json(keep, groups), spec, groups, "F"), keep);
  EXPECT_EQ(keep_from_json(nlohmann::json::object(), spec, groups, "F"), keep_all(groups));
  EXPECT_EQ(keep_from_json({{"conv1", {5, 1}}}, spec, groups, "F").units[0], (std::vector<int>{1, 5}));
}

TEST(Keep, BadFilesSayWhatIsWrong) {
  const nn::NetworkSpec spec = nn::make_zoo("resnet20");
  const nn::UnitGroups groups = nn::unit_groups(spec);
  const auto error = [&](const char* text) -> std::string {
    try {
      keep_from_json(nlohmann::json::parse(text), spec, groups, "keep.json");
    } catch (const core::Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error("[1]"), HasSubstr("keep.json: got array, want an object"));
  EXPECT_THAT(error(R"({"conv9": [1]})"), HasSubstr("\"conv9\" is no group of units; they are: conv1, "));
  EXPECT_THAT(error(R"({"fc": [1]})"), HasSubstr("[fc fc] has no units that could go: it is the output"));
  EXPECT_THAT(error(R"({"pool": [1]})"), HasSubstr("[global_avg_pool pool] has no units that could go; leave it out"));
  EXPECT_THAT(error(R"({"block1_1_conv2": [1]})"), HasSubstr("name them as \"conv1\""));
  EXPECT_THAT(error(R"({"conv1": 3})"), HasSubstr("keep.json: conv1: got number, want a list"));
  EXPECT_THAT(error(R"({"conv1": []})"), HasSubstr("conv1: keeps no unit"));
  EXPECT_THAT(error(R"({"conv1": [16]})"), HasSubstr("conv1: unit 16: want an integer from 0 to 15"));
  EXPECT_THAT(error(R"({"conv1": [-1]})"), HasSubstr("unit -1"));
  EXPECT_THAT(error(R"({"conv1": [1.5]})"), HasSubstr("unit 1.5"));
  EXPECT_THAT(error(R"({"conv1": [3, 3]})"), HasSubstr("unit 3 is named twice"));
}

// A NaN, or an infinity, equals nothing, wherever it stands among the outputs.
TEST(Shrink, NoNumberIsEqualToNone) {
  const nn::NetworkSpec spec = nn::make_zoo("lenet");
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()})
    for (const int unit : {0, 9}) {
      nn::Parameters parameters(spec);
      parameters.initialize(1);
      parameters.tensor(*parameters.find("fc3.bias")).data[unit] = value;
      const nn::Model model{spec, std::move(parameters), {}};
      EXPECT_TRUE(std::isnan(max_output_difference(model, model, 3, 1))) << value << " " << unit;
    }
}

}  // namespace
}  // namespace fdi::compress
