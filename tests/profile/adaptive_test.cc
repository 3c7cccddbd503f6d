// Adaptive sampling against a device whose times are known.
#include "profile/adaptive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"
#include "profile/op_model.h"

namespace fdi::profile {
namespace {

using device::Component;

// Convolutions whose time follows one law, but for two rare kinds: out_channel a multiple of 32 takes a third, and few
// input channels at stride 2 take four times as long. 1% of noise, the same whenever a component is measured.
double planted_us(const Component& c) {
  const Structure s = structure_of(c);
  double us = 20 + s[Field::kFlops] * 1e-5 + s[Field::kMem] * 1e-3;
  if (std::fmod(s[Field::kOutChannel], 32) == 0) us /= 3;
  if (s[Field::kInChannel] <= 16 && s[Field::kStrideHeight] > 1) us *= 4;
  core::Rng noise(7, core::Stream::kTest, s[Field::kFlops], s[Field::kMem], s[Field::kNetworkBytes]);
  return us * (1 + 0.01 * noise.normal());
}

std::vector<Sample> measured(std::span<const Component> components) {
  std::vector<Sample> samples;
  for (const Component& c : components) {
    Sample sample{c, {}, {}};
    sample.time.median_us = planted_us(c);
    samples.push_back(sample);
  }
  return samples;
}

SamplingScope convolutions() {
  SamplingScope scope;
  scope.ops = {nn::Op::kConv2d};
  return scope;
}

// Few and cheap fits: what is looked for does not depend on them.
AdaptiveOptions quick(int samples, uint64_t seed) {
  return {.samples = samples, .round = 0.25, .seed = seed, .fit = {.features = Features::kPaper}};
}

bool is_rare(const Component& c) {
  const Structure s = structure_of(c);
  return std::fmod(s[Field::kOutChannel], 32) == 0 || (s[Field::kInChannel] <= 16 && s[Field::kStrideHeight] > 1);
}

// More of the samples are of the kinds that one law for all is wrong about than among random ones.
TEST(Adaptive, LooksWhereTheModelErrs) {
  int64_t adaptive = 0, random = 0;
  for (const uint64_t seed : {1, 2, 3}) {
    Sampler sampler(convolutions(), seed), plain(convolutions(), seed + 10);
    const AdaptiveResult result = sample_adaptively(sampler, quick(240, seed), measured);
    ASSERT_EQ(result.samples.size(), 240U);
    adaptive += std::ranges::count_if(result.samples, [](const Sample& s) { return is_rare(s.component); });
    random += std::ranges::count_if(plain.draw(240), is_rare);
  }
  EXPECT_GT(adaptive, random * 5 / 4) << "of 720 samples each";
}

TEST(Adaptive, StopsAtTheTargetAndWhenTheTimeIsUp) {
  AdaptiveOptions options = quick(280, 1);
  options.target_mape = 10;  // any model is that good
  Sampler first(convolutions(), 1);
  const AdaptiveResult easy = sample_adaptively(first, options, measured);
  EXPECT_TRUE(easy.reached);
  EXPECT_EQ(easy.samples.size(), 70U);
  EXPECT_EQ(easy.rounds.size(), 1U);

  options.target_mape = 1e-9;
  int budget = 90;
  Sampler second(convolutions(), 1);
  const AdaptiveResult cut = sample_adaptively(second, options, [&](std::span<const Component> components) {
    const auto n = std::min<size_t>(components.size(), static_cast<size_t>(budget));
    budget -= static_cast<int>(n);
    return measured(components.first(n));
  });
  EXPECT_FALSE(cut.reached);
  EXPECT_EQ(cut.samples.size(), 90U);

  Sampler third(convolutions(), 1), fourth(convolutions(), 1);
  const auto all = sample_adaptively(third, options, measured), same = sample_adaptively(fourth, options, measured);
  ASSERT_EQ(all.samples.size(), 280U);
  for (size_t i = 0; i < 280; ++i) EXPECT_EQ(all.samples[i].component, same.samples[i].component);
  EXPECT_LT(all.rounds.back().mape.at(nn::Op::kConv2d), all.rounds.front().mape.at(nn::Op::kConv2d));
}

}  // namespace
}  // namespace fdi::profile
