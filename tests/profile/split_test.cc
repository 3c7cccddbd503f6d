// Samples of equal structure, which a network or two runs give, are judged together: what the fit has seen is no
// held-out sample. And what is fitted where some ops have too few.
#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "profile/op_model.h"
#include "profile/tree_fit.h"
#include "tests/profile/planted.h"
#include "tests/profile/samples.h"

namespace fdi::profile {
namespace {

// Structures that are on both sides, and how many are held out.
std::pair<int, size_t> judged(const SampleSet& set) {
  const Split split = split_samples(nn::Op::kConv2d, pointers(set), {});
  EXPECT_EQ(split.training.size() + split.held_out.size(), set.samples.size());
  std::set<decltype(Structure::value)> seen;
  for (const Observation& o : observe(split.training)) seen.insert(o.structure.value);
  int both = 0;
  for (const Observation& o : observe(split.held_out)) both += seen.contains(o.structure.value) ? 1 : 0;
  return {both, split.held_out.size()};
}

double one_us(const Structure& /*structure*/) { return 1; }

TEST(Split, EqualStructuresAreOnOneSide) {
  SampleSet set = planted_convs(100, one_us, 0.1);
  const std::vector<Sample> once = set.samples;
  for (const int bytes : {1, 2}) {  // as part of other networks
    for (Sample sample : once) {
      sample.component.network_bytes += bytes;
      sample.time.median_us *= 1.01;
      set.samples.push_back(sample);
    }
    const auto [both, held_out] = judged(set);
    EXPECT_EQ(both, 0);
    EXPECT_NEAR(static_cast<double>(held_out), 0.25 * static_cast<double>(set.samples.size()), 2);
  }
  EXPECT_EQ(judged({set.device, once}), std::pair(0, size_t{25}));
}

TEST(Split, OfOneStructureSomeAreHeldOutAllTheSame) {
  SampleSet set = planted_convs(1, one_us, 0.1);
  for (int i = 1; i < 40; ++i) {
    set.samples.push_back(set.samples[0]);
    set.samples.back().time.median_us += 0.001 * i;
  }
  EXPECT_EQ(judged(set), std::pair(10, size_t{10}));
  EXPECT_EQ(TimeModel::fit(set).quality().at(nn::Op::kConv2d).held_out, 10);
}

TEST(Split, RunsOfEqualStructures) {
  std::vector<Observation> sorted;
  for (const int width : {1, 1, 2, 3, 3, 3}) {
    const device::Component c = conv(24, 3, width);
    sorted.push_back({structure_of(c), 1.0 + static_cast<double>(sorted.size())});
  }
  using Run = std::pair<size_t, size_t>;
  EXPECT_THAT(equal_structures(sorted), ::testing::ElementsAre(Run(0, 2), Run(2, 3), Run(3, 6)));
  EXPECT_TRUE(equal_structures({}).empty());
}

TEST(TimeModelFit, LeavesOutWhatHasTooFewSamples) {
  SampleSet set = planted_convs(60, one_us, 0.01);
  for (int i = 1; i < 6; ++i) {
    set.samples.push_back(set.samples[0]);
    set.samples.back().component = component(nn::Op::kFc, {{10 * i}}, 5);
  }
  const TimeModel model = TimeModel::fit(set);
  EXPECT_TRUE(model.covers(nn::Op::kConv2d));
  EXPECT_FALSE(model.covers(nn::Op::kFc));
  EXPECT_THAT(model.too_few(), ::testing::ElementsAre(std::pair(nn::Op::kFc, 5)));
  set.samples.erase(set.samples.begin(), set.samples.begin() + 60);
  EXPECT_THAT([&] { TimeModel::fit(set); },
              ::testing::ThrowsMessage<core::Error>(::testing::HasSubstr("fc: 5 samples, want at least 20")));
}

}  // namespace
}  // namespace fdi::profile
