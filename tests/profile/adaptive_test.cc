// Adaptive sampling against a device whose times are known.
#include "profile/adaptive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>

#include "core/rng.h"
#include "nn/zoo.h"
#include "profile/op_model.h"
#include "profile/statistics.h"

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

std::vector<Component> components_of(std::span<const device::Job> jobs) {
  std::vector<Component> all;
  for (const device::Job& job : jobs)
    for (Component& c : device::components(job)) all.push_back(std::move(c));
  return all;
}

std::vector<Sample> measured_layers(std::span<const Component> components) {
  std::vector<Sample> samples;
  for (const Component& c : components) {
    Sample sample{c, {}, {}};
    sample.time.median_us = planted_us(c);
    samples.push_back(sample);
  }
  return samples;
}

// Measures all components so far, however often they were measured before.
MeasureJobs measuring(std::function<std::vector<Sample>(std::span<const Component>)> measure = measured_layers) {
  return [measure, all = std::vector<Component>()](std::span<const device::Job> more, int passes) mutable {
    for (Component& c : components_of(more)) all.push_back(std::move(c));
    std::vector<Sample> samples = measure(all);
    for (Sample& s : samples) s.pass_us.assign(static_cast<size_t>(passes), s.time.median_us);
    return samples;
  };
}

SamplingScope convolutions() {
  SamplingScope scope;
  scope.ops = {nn::Op::kConv2d};
  return scope;
}

// Few and cheap fits: what is looked for does not depend on them.
AdaptiveOptions quick(int samples) {
  return {.samples = samples, .round = 0.25, .fit = {.features = Features::kPaper}};
}

// Of 100 samples, how unevenly the 20 kinds of convolution (kernel, stride, padding) share them: 0 is 5 of each.
double unevenness(std::span<const Component> components) {
  std::map<std::tuple<int, int, int, bool>, int> counts;
  for (const Component& c : components) {
    const auto& a = c.layer.attr;
    ++counts[{a.kernel[0], a.kernel[1], a.stride[0], a.padding == nn::Padding::kSame}];
  }
  double sum = 5 * 5 * (20 - static_cast<double>(counts.size()));
  for (const auto& [kind, count] : counts) sum += (count - 5) * (count - 5);
  return sum;
}

TEST(Adaptive, SpreadsOverTheScope) {
  double adaptive = 0, random = 0;
  for (const uint64_t seed : {1, 2, 3}) {
    AdaptiveOptions options = quick(100);
    options.first = 1;
    Sampler sampler(convolutions(), seed), plain(convolutions(), seed + 10);
    const AdaptiveResult result = sample_adaptively(sampler, options, measuring());
    ASSERT_EQ(result.samples.size(), 100U);
    std::vector<Component> chosen;
    for (const Sample& s : result.samples) chosen.push_back(s.component);
    adaptive += unevenness(chosen);
    random += unevenness(plain.draw(100));
  }
  EXPECT_LT(adaptive, random * 2 / 3);
}

TEST(Adaptive, StopsAtTheTargetAndWhenTheTimeIsUp) {
  AdaptiveOptions options = quick(280);
  options.target_mape = 10;  // any model is that good
  Sampler first(convolutions(), 1);
  const AdaptiveResult easy = sample_adaptively(first, options, measuring());
  EXPECT_TRUE(easy.reached);
  EXPECT_EQ(easy.samples.size(), 70U);
  ASSERT_EQ(easy.rounds.size(), 2U);
  EXPECT_EQ(easy.rounds[0].passes, 5);
  EXPECT_EQ(easy.rounds[1].passes, 15);

  options.target_mape = 1e-9;
  bool up = false;  // in the middle of the second round
  Sampler second(convolutions(), 1);
  const AdaptiveResult cut = sample_adaptively(second, options, measuring([&](std::span<const Component> all) {
                                                 if (up) return std::vector<Sample>();
                                                 up = all.size() > 90;
                                                 return measured_layers(all.first(std::min<size_t>(all.size(), 90)));
                                               }));
  EXPECT_FALSE(cut.reached);
  EXPECT_EQ(cut.samples.size(), 90U);

  Sampler third(convolutions(), 1), fourth(convolutions(), 1);
  const auto all = sample_adaptively(third, options, measuring()),
             same = sample_adaptively(fourth, options, measuring());
  ASSERT_EQ(all.samples.size(), 280U);
  for (size_t i = 0; i < 280; ++i) EXPECT_EQ(all.samples[i].component, same.samples[i].component);
  EXPECT_LT(all.rounds.back().mape.at(nn::Op::kConv2d), all.rounds.front().mape.at(nn::Op::kConv2d));
}

// An engine that has nothing to do for the pools, say: they have no samples, and the rounds go on.
TEST(Adaptive, LayersThatTakeNoTimeDoNotEndIt) {
  SamplingScope scope;
  scope.networks = {nn::make_zoo("lenet")};
  Sampler sampler(scope, 1);
  const auto but_pools = [](std::span<const Component> components) {
    std::vector<Sample> samples = measured_layers(components);
    std::erase_if(samples, [](const Sample& s) { return s.component.layer.op == nn::Op::kMaxPool; });
    return samples;
  };
  const AdaptiveResult result = sample_adaptively(sampler, quick(600), measuring(but_pools));
  EXPECT_GE(result.samples.size(), 600U);
  EXPECT_GE(result.rounds.size(), 2U);
}

TEST(Adaptive, TimesWholeNetworksWhereTheScopeIsNetworks) {
  SamplingScope scope;
  scope.networks = {nn::make_zoo("lenet")};
  const size_t layers = device::components(scope.networks[0]).size();
  AdaptiveOptions options = quick(600);
  options.target_mape = 10;
  Sampler sampler(scope, 1);
  int networks = 0;
  MeasureJobs measure = measuring();
  const AdaptiveResult easy = sample_adaptively(sampler, options, [&](std::span<const device::Job> more, int passes) {
    for (const device::Job& job : more) {
      EXPECT_TRUE(job.plain_ends);
      EXPECT_EQ(device::components(job).size(), layers);
      ++networks;
    }
    return measure(more, passes);
  });
  EXPECT_TRUE(easy.reached);
  EXPECT_EQ(easy.samples.size(), networks * layers);
  EXPECT_LT(easy.samples.size(), 300U);
  Sampler all_of_it(scope, 1);
  options.target_mape = 1e-9;
  const size_t all = sample_adaptively(all_of_it, options, measuring()).samples.size();
  EXPECT_GE(all, 600U);
  EXPECT_LT(all, 600U + layers);
}

// Both ops are drawn alike at first; then the one whose times no law explains gets the more samples.
TEST(Adaptive, MeasuresMoreOfTheOpThatErrs) {
  SamplingScope scope;
  scope.ops = {nn::Op::kFc, nn::Op::kGru};
  AdaptiveOptions options;
  options.samples = 200;
  options.first = 0.7;
  Sampler sampler(scope, 1);
  const auto no_law_for_gru = [](std::span<const Component> components) {
    std::vector<Sample> samples = measured_layers(components);
    for (Sample& s : samples) {
      const Structure structure = structure_of(s.component);
      const double us = 1 + structure[Field::kFlops] * 1e-5;
      core::Rng noise(3, core::Stream::kTest, structure[Field::kFlops], structure[Field::kMem]);
      s.time.median_us = s.component.layer.op == nn::Op::kGru ? us * std::exp(noise.normal()) : us;
    }
    return samples;
  };
  const AdaptiveResult result = sample_adaptively(sampler, options, measuring(no_law_for_gru));
  ASSERT_EQ(result.samples.size(), 200U);
  const auto gru_of_last = std::ranges::count_if(std::span(result.samples).last(60),
                                                 [](const Sample& s) { return s.component.layer.op == nn::Op::kGru; });
  EXPECT_GE(gru_of_last, 50);
  EXPECT_LT(result.rounds.back().mape.at(nn::Op::kFc), result.rounds.back().mape.at(nn::Op::kGru));
}

TEST(Adaptive, EveryRoundIsHalfAsManyMoreAtMostAndTimesThoseOfBeforeToo) {
  AdaptiveOptions options = quick(280);
  std::vector<std::pair<size_t, int>> asked;  // components more, passes over all
  MeasureJobs measure = measuring();
  Sampler sampler(convolutions(), 1);
  sample_adaptively(sampler, options, [&](std::span<const device::Job> more, int passes) {
    asked.emplace_back(components_of(more).size(), passes);
    return measure(more, passes);
  });
  EXPECT_EQ(asked, (std::vector<std::pair<size_t, int>>{{70, 5}, {35, 6}, {53, 7}, {70, 8}, {52, 9}, {0, 15}}));
}

// A law without error, times with much noise: that many passes will be better is known, no more samples are taken.
TEST(Adaptive, WhatNoiseAddsIsLeftToMorePasses) {
  SamplingScope scope;
  scope.ops = {nn::Op::kFc};
  for (const bool same_in_all_passes : {false, true}) {
    AdaptiveOptions options = quick(400);
    options.target_mape = 0.035;
    Sampler sampler(scope, 1);
    std::vector<Component> all;
    const AdaptiveResult result =
        sample_adaptively(sampler, options, [&](std::span<const device::Job> more, int passes) {
          for (Component& c : components_of(more)) all.push_back(std::move(c));
          std::vector<Sample> samples = measured_layers(all);
          for (Sample& s : samples) {
            const Structure at = structure_of(s.component);
            for (int pass = 0; pass < passes; ++pass) {
              core::Rng noise(3, core::Stream::kTest, at[Field::kInChannel], at[Field::kOutChannel],
                              same_in_all_passes ? 0 : pass);
              s.pass_us.push_back((1 + at[Field::kFlops] * 1e-5) * (1 + 0.08 * noise.normal()));
            }
            s.time.median_us = median(s.pass_us);
          }
          return samples;
        });
    if (same_in_all_passes) {  // no pass more will help
      EXPECT_FALSE(result.reached);
      EXPECT_EQ(result.samples.size(), 400U);
      continue;
    }
    EXPECT_TRUE(result.reached);
    EXPECT_EQ(result.samples.size(), 100U);
    EXPECT_GT(result.rounds.front().mape.at(nn::Op::kFc), options.target_mape);
    EXPECT_LE(result.rounds.back().mape.at(nn::Op::kFc), options.target_mape);
  }
}

}  // namespace
}  // namespace fdi::profile
