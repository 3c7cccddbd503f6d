// Single components by Table 2's ranges; networks narrowed at random and taken apart.
#include "profile/sampler.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "core/check.h"
#include "core/error.h"
#include "core/rng.h"
#include "nn/layer.h"
#include "nn/unit_groups.h"
#include "profile/features.h"

namespace fdi::profile {
namespace {

using core::Rng;
using core::Stream;
using device::Component;
using device::Job;
using nn::Op;

constexpr int kEnoughForModel = 40;  // of an op: 30 to fit two leaves, 10 to test them
constexpr float kNarrowest = 0.1F;   // the widest layer of a narrowed network: share of its width
constexpr int kFruitless = 3000;     // draws in a row without anything new: the scope holds no more
constexpr int kWidened = 32;         // widened networks: up to the next multiple of this, where expansion may go

int draw_from(Rng& rng, const Range& range) {
  return range.low + static_cast<int>(rng.below(static_cast<uint32_t>(range.high - range.low + 1)));
}

template <class T>
const T& draw_from(Rng& rng, const std::vector<T>& values) {
  return values[rng.below(static_cast<uint32_t>(values.size()))];
}

// Engines like widths that are multiples of something, and so do people: every second network or layer has widths that
// are multiples of a power of two; drawn one by one, hardly any would have several such.
int draw_step(Rng& rng, const SamplingScope& scope) {
  if (scope.uniform) return 1;
  constexpr uint32_t kPowers = 5, kOdd = 5;  // up to 32
  const uint32_t draw = rng.below(kPowers + kOdd);
  return draw < kOdd ? 1 : 2 << (draw - kOdd);
}
int widened(int width) { return (width + kWidened - 1) / kWidened * kWidened; }
int draw_width(Rng& rng, const Range& range, int step) {
  const int low = (range.low + step - 1) / step, high = range.high / step;
  return low > high ? draw_from(rng, range) : step * draw_from(rng, Range{low, high});
}

double mflop(const Component& c) { return static_cast<double>(nn::op_info(c.layer.op).flops(c.layer, c.in)) / 1e6; }

// What all samples of an op are called: where they were found makes no difference.
Component anonymous(Component component) {
  component.layer.name = nn::op_name(component.layer.op);
  component.layer.inputs.assign(component.in.size(), nn::LayerSpec::kInput);
  return component;
}

bool in_table_2(Op op) { return op == Op::kConv2d || op == Op::kFc || op == Op::kGru || op == Op::kLstm; }

}  // namespace

Sampler::Sampler(SamplingScope scope, uint64_t seed) : scope_(std::move(scope)), seed_(seed) {
  const std::vector<Op>& wanted = scope_.ops;
  const auto wants = [&](Op op) { return wanted.empty() || std::ranges::find(wanted, op) != wanted.end(); };
  std::map<Op, double> weights;
  if (scope_.networks.empty()) {
    for (const Op op : {Op::kConv2d, Op::kFc, Op::kGru, Op::kLstm})
      if (wants(op)) weights[op] = op == Op::kConv2d ? 2 : 1;
  }
  for (const nn::NetworkSpec& network : scope_.networks)
    for (const Component& c : device::components(network))
      if (wants(c.layer.op)) ++weights[c.layer.op];
  for (const Op op : wanted) {
    if (weights.contains(op)) continue;
    if (!scope_.networks.empty()) core::fail("op {}: the given networks have no such layer", nn::op_name(op));
    core::fail("op {}: the scope has rules for conv2d, fc, gru and lstm; give a network that has it (--for MODEL)",
               nn::op_name(op));
  }
  if (weights.empty()) core::fail("the given networks have no layer that takes time");
  for (const auto& [op, weight] : weights) {
    ops_.push_back(op);
    weights_.push_back(weight);
  }
}

std::vector<int> Sampler::shares(int samples) const {
  const auto n = static_cast<int>(ops_.size());
  const int least = std::min(kEnoughForModel, samples / n);
  double total = 0, before = 0;
  for (const double weight : weights_) total += weight;
  std::vector<int> shares;
  const int rest = samples - least * n;
  for (const double weight : weights_) {  // differences of rounded sums, so that all add up
    const auto low = std::lround(rest * before / total);
    before += weight;
    shares.push_back(least + static_cast<int>(std::lround(rest * before / total) - low));
  }
  return shares;
}

std::vector<Component> Sampler::draw(Op op, int count) {
  std::vector<Component> out;
  std::deque<Component>& queue = queues_[op];
  for (int fruitless = 0; static_cast<int>(out.size()) < count && fruitless < kFruitless;) {
    if (queue.empty()) {
      ++fruitless;
      if (scope_.networks.empty()) {
        offer(single(op));
      } else {
        for (Component& c : device::components(draw_network()))
          if (std::ranges::find(ops_, c.layer.op) != ops_.end()) offer(anonymous(std::move(c)));
      }
      continue;
    }
    fruitless = 0;
    out.push_back(std::move(queue.front()));
    queue.pop_front();
  }
  return out;
}

std::vector<Component> Sampler::draw(int samples) {
  std::vector<Component> out;
  const std::vector<int> counts = shares(samples);
  for (size_t i = 0; i < ops_.size(); ++i)
    for (Component& component : draw(ops_[i], counts[i])) out.push_back(std::move(component));
  return out;
}

Component Sampler::single(Op op) {
  CHECK(in_table_2(op));
  Rng rng(seed_, Stream::kSampler, 1 + static_cast<uint64_t>(op), singles_[op]++);
  Component c;
  c.layer.op = op;
  if (op == Op::kConv2d) {
    const int height = draw_from(rng, scope_.image), width = draw_from(rng, scope_.image);
    const int step = draw_step(rng, scope_);
    c.in = {{height, width, draw_width(rng, scope_.channel, step)}};
    c.layer.attr.kernel = draw_from(rng, scope_.kernels);
    const int stride = draw_from(rng, scope_.strides);
    c.layer.attr.stride = {stride, stride};
    c.layer.attr.padding = rng.below(2) == 0 ? nn::Padding::kValid : nn::Padding::kSame;
    // A valid convolution has no output where its kernel is larger than the image.
    if (height < c.layer.attr.kernel[0] || width < c.layer.attr.kernel[1]) c.layer.attr.padding = nn::Padding::kSame;
    c.layer.attr.units = draw_width(rng, scope_.channel, step);
    c.layer.attr.relu = true;
  } else if (op == Op::kFc) {
    const int step = draw_step(rng, scope_);
    c.in = {{draw_width(rng, scope_.fc_dim, step)}};
    c.layer.attr.units = draw_width(rng, scope_.fc_dim, step);
    c.layer.attr.relu = true;
  } else {
    const int time_steps = draw_from(rng, scope_.steps), step = draw_step(rng, scope_);
    c.in = {{time_steps, draw_width(rng, scope_.rnn_dim, step)}};
    c.layer.attr.units = draw_width(rng, scope_.rnn_dim, step);
  }
  return anonymous(std::move(c));
}

nn::NetworkSpec Sampler::draw_network() {
  const nn::NetworkSpec& network = scope_.networks[networks_ % scope_.networks.size()];
  const uint64_t number = networks_++, round = number / scope_.networks.size();
  // As it is, and as wide as expansion may make it: so that these widths are within the scope.
  if (round == 0) return network;
  if (round == 1) return narrow(network, widened);
  Rng rng(seed_, Stream::kSampler, 0, number);
  const int step = draw_step(rng, scope_);
  // Every second one of each network is about as wide in all its layers: else hardly any sample would be wide on both
  // sides. Of the others a quarter of the layers are wide among narrow ones, so that their weights stay in a cache.
  // Sizes spread evenly (multiples of the golden ratio): a few dozen networks drawn at random leave gaps, across which
  // memory's part is guessed. A quarter of either kind is drawn up to the widened widths.
  const uint64_t turn = round - 1, of_kind = turn / 2;
  const bool even = turn % 2 == 0, wider = of_kind % 4 == 3;
  const double golden = 0.6180339887498949 * static_cast<double>(of_kind) + Rng(seed_, Stream::kSampler, 1).uniform();
  const float most = kNarrowest + (1 - kNarrowest) * static_cast<float>(golden - std::floor(golden));
  const float least = even ? rng.uniform(0, most) : 0;
  return narrow(network, [&](int width) {
    const int widest = wider ? widened(width) : width;
    const auto part = [&](float share) { return std::max(1, static_cast<int>(static_cast<float>(widest) * share)); };
    const bool wide = !even && rng.below(4) == 0;
    return draw_width(rng, wide ? Range{part(most), widest} : Range{part(least), part(most)}, step);
  });
}

bool Sampler::whole_networks() const {
  bool whole = !scope_.networks.empty();
  for (const nn::NetworkSpec& network : scope_.networks)
    for (const Component& c : device::components(network)) whole = whole && std::ranges::count(ops_, c.layer.op) > 0;
  return whole;
}

std::vector<Job> Sampler::draw_jobs(int samples) {
  if (!whole_networks()) return in_turn(draw(samples), seed_);
  std::vector<Job> jobs;
  int fruitless = 0;
  for (int count = 0; count < samples && fruitless < kFruitless;) {
    Job job = device::job_of(draw_network());
    const std::vector<Component> all = device::components(job);
    drawn_ += static_cast<int64_t>(all.size());
    const auto large = std::ranges::count_if(all, [&](const Component& c) { return mflop(c) > scope_.max_mflop; });
    too_large_ += large;
    if (large > 0 || std::ranges::find(jobs, job) != jobs.end()) {
      ++fruitless;
      continue;
    }
    count += static_cast<int>(all.size());
    jobs.push_back(std::move(job));
  }
  return jobs;
}

void Sampler::offer(Component component) {
  ++drawn_;
  if (mflop(component) > scope_.max_mflop) {
    ++too_large_;
    return;
  }
  if (known_.insert(device::component_to_json(component).dump()).second)
    queues_[component.layer.op].push_back(std::move(component));
}

nn::NetworkSpec narrow(const nn::NetworkSpec& spec, const std::function<int(int)>& width) {
  const nn::UnitGroups groups = nn::unit_groups(spec);
  std::vector<int> widths;
  for (const nn::UnitGroup& group : groups.groups) widths.push_back(width(group.count));
  return nn::with_widths(spec, groups, widths);
}

std::vector<nn::NetworkSpec> narrowed_at_random(const nn::NetworkSpec& spec, int count, uint64_t seed) {
  std::vector<nn::NetworkSpec> out;
  for (int i = 0; i < count; ++i) {
    Rng rng(seed, Stream::kSampler, 0x6e6172726f77, i);  // no op's, no network's
    const float a = rng.uniform(), b = rng.uniform();
    out.push_back(narrow(spec, [&](int widest) {
      return std::max(1, static_cast<int>(std::lround(rng.uniform(a, b) * static_cast<float>(widest))));
    }));
  }
  return out;
}

std::vector<Job> groups(std::span<const Component> components) {
  constexpr size_t kMost = 12;
  constexpr double kFloats = 128 << 10;  // 512 kB stay in the second cache of anything but the smallest devices
  const auto size = [](const Component& component) {
    const Structure s = structure_of(component);
    return s[Field::kParamSize] + s[Field::kMemIn] + s[Field::kMemOut];
  };
  std::vector<Job> jobs;
  for (size_t begin = 0, end = 0; begin < components.size(); begin = end) {
    double floats = 0;
    do floats += size(components[end]);
    while (++end < components.size() && end - begin < kMost && floats + size(components[end]) <= kFloats);
    jobs.push_back(device::job_of(components.subspan(begin, end - begin)));
  }
  return jobs;
}

std::vector<Job> in_turn(std::vector<Component> components, uint64_t seed) {
  Rng(seed, Stream::kSampler, 0x67726f7570).shuffle(components.begin(), components.end());  // no op's, no network's
  return groups(components);
}

}  // namespace fdi::profile
