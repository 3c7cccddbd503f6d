// Adaptive sampling against a device whose times are known.
#include "profile/adaptive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "core/rng.h"
#include "nn/zoo.h"
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

std::vector<Sample> measured(std::span<const device::Job> jobs) { return measured_layers(components_of(jobs)); }

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
    const AdaptiveResult result = sample_adaptively(sampler, options, measured);
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
  const AdaptiveResult easy = sample_adaptively(first, options, measured);
  EXPECT_TRUE(easy.reached);
  EXPECT_EQ(easy.samples.size(), 70U);
  EXPECT_EQ(easy.rounds.size(), 1U);

  options.target_mape = 1e-9;
  int budget = 90;
  Sampler second(convolutions(), 1);
  const AdaptiveResult cut = sample_adaptively(second, options, [&](std::span<const device::Job> jobs) {
    const std::vector<Component> components = components_of(jobs);
    const auto n = std::min<size_t>(components.size(), static_cast<size_t>(budget));
    budget -= static_cast<int>(n);
    return measured_layers(std::span(components).first(n));
  });
  EXPECT_FALSE(cut.reached);
  EXPECT_EQ(cut.samples.size(), 90U);

  Sampler third(convolutions(), 1), fourth(convolutions(), 1);
  const auto all = sample_adaptively(third, options, measured), same = sample_adaptively(fourth, options, measured);
  ASSERT_EQ(all.samples.size(), 280U);
  for (size_t i = 0; i < 280; ++i) EXPECT_EQ(all.samples[i].component, same.samples[i].component);
  EXPECT_LT(all.rounds.back().mape.at(nn::Op::kConv2d), all.rounds.front().mape.at(nn::Op::kConv2d));
}

// An engine that has nothing to do for the pools, say: they have no samples, and the rounds go on.
TEST(Adaptive, LayersThatTakeNoTimeDoNotEndIt) {
  SamplingScope scope;
  scope.networks = {nn::make_zoo("lenet")};
  Sampler sampler(scope, 1);
  const AdaptiveResult result = sample_adaptively(sampler, quick(600), [](std::span<const device::Job> jobs) {
    std::vector<Sample> samples = measured(jobs);
    std::erase_if(samples, [](const Sample& s) { return s.component.layer.op == nn::Op::kMaxPool; });
    return samples;
  });
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
  const AdaptiveResult easy = sample_adaptively(sampler, options, [&](std::span<const device::Job> jobs) {
    for (const device::Job& job : jobs) {
      EXPECT_TRUE(job.plain_ends);
      EXPECT_EQ(device::components(job).size(), layers);
      ++networks;
    }
    return measured(jobs);
  });
  EXPECT_TRUE(easy.reached);
  EXPECT_EQ(easy.samples.size(), networks * layers);
  EXPECT_LT(easy.samples.size(), 300U);
  Sampler all_of_it(scope, 1);
  options.target_mape = 1e-9;
  const size_t all = sample_adaptively(all_of_it, options, measured).samples.size();
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
  const AdaptiveResult result = sample_adaptively(sampler, options, [](std::span<const device::Job> jobs) {
    std::vector<Sample> samples = measured(jobs);
    for (Sample& s : samples) {
      const Structure structure = structure_of(s.component);
      const double us = 1 + structure[Field::kFlops] * 1e-5;
      core::Rng noise(3, core::Stream::kTest, structure[Field::kFlops], structure[Field::kMem]);
      s.time.median_us = s.component.layer.op == nn::Op::kGru ? us * std::exp(noise.normal()) : us;
    }
    return samples;
  });
  ASSERT_EQ(result.samples.size(), 200U);
  const auto gru_of_last = std::ranges::count_if(std::span(result.samples).last(60),
                                                 [](const Sample& s) { return s.component.layer.op == nn::Op::kGru; });
  EXPECT_GE(gru_of_last, 50);
  EXPECT_LT(result.rounds.back().mape.at(nn::Op::kFc), result.rounds.back().mape.at(nn::Op::kGru));
}

}  // namespace
}  // namespace fdi::profile
