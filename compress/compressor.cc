#include "compress/compressor.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "nn/builder.h"

namespace fdi::compress {
namespace {

using nn::Op;

// One step of the recurrent network: groups side by side.
struct Stage {
  std::vector<size_t> groups;
  int columns = 0, rows = 0;
};

// Number of layers with units on the longest way to each layer, itself included.
std::vector<int> depths(const nn::NetworkSpec& spec) {
  std::vector<int> out;
  for (const nn::LayerSpec& layer : spec.layers) {
    int depth = 0;
    for (const int input : layer.inputs)
      if (input != nn::LayerSpec::kInput) depth = std::max(depth, out[static_cast<size_t>(input)]);
    out.push_back(depth + (layer.attr.units > 0 ? 1 : 0));
  }
  return out;
}

// By unit: the floats of the parameters that produce it, as strided runs. `to` counts from the start of its column.
std::vector<std::vector<Compressor::Source>> columns_of(const nn::NetworkSpec& spec, const nn::UnitGroups& groups) {
  std::vector<std::vector<Compressor::Source>> columns(static_cast<size_t>(groups.units()));
  std::vector<int64_t> length(columns.size());
  const auto entries = nn::Parameters::list(spec);
  for (size_t e = 0; e < entries.size(); ++e)
    for (const nn::UnitSlice& slice : groups.slices) {
      const bool producer = slice.tensor == entries[e].name && !slice.reads &&
                            spec.layers[static_cast<size_t>(slice.layer)].attr.units > 0;
      if (!producer) continue;
      const int64_t extent = entries[e].spec.shape.back();
      const int count = static_cast<int>(entries[e].spec.shape.size() / extent);
      for (int64_t i = 0; i < extent; ++i) {
        if (slice.unit[static_cast<size_t>(i)] == nn::kFixedUnit) continue;
        const auto unit = static_cast<size_t>(slice.unit[static_cast<size_t>(i)]);
        columns[unit].push_back({length[unit], static_cast<int64_t>(e), i, extent, count});
        length[unit] += count;
      }
    }
  return columns;
}

std::vector<Stage> stages_of(const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                             const std::vector<std::vector<Compressor::Source>>& columns) {
  const std::vector<int> depth = depths(spec);
  std::map<std::pair<int, int>, Stage> stages;  // by depth and rows
  for (size_t g = 0; g < groups.groups.size(); ++g) {
    const nn::UnitGroup& group = groups.groups[g];
    const Compressor::Source& last = columns[static_cast<size_t>(group.first)].back();
    const int rows = static_cast<int>(last.to + last.count);
    Stage& stage = stages[{depth[static_cast<size_t>(group.layers[0])], rows}];
    stage.groups.push_back(g);
    stage.columns += group.count;
    stage.rows = rows;
  }
  std::vector<Stage> out;
  out.reserve(stages.size());
  for (auto& [key, stage] : stages) out.push_back(std::move(stage));
  return out;
}

// A concat takes 64 inputs; more are joined in several.
void join(nn::SpecBuilder& b, std::vector<int> parts, const std::string& name) {
  constexpr size_t kMost = 64;
  for (int level = 0; parts.size() > kMost; ++level) {
    std::vector<int> next;
    for (size_t i = 0; i < parts.size(); i += kMost)
      next.push_back(b.add_on({parts.begin() + static_cast<std::ptrdiff_t>(i),
                               parts.begin() + static_cast<std::ptrdiff_t>(std::min(i + kMost, parts.size()))},
                              Op::kConcat, fmt::format("{}{}_{}", name, level, i), {.axis = 0}));
    parts = std::move(next);
  }
  b.add_on(std::move(parts), Op::kConcat, name, {.axis = 0});
}

// All M^T lie one after the other in one tensor, in rows of so many floats that no axis is too long for a tensor; a
// divisor of every M's size, so that each begins with a row.
int row_floats(const std::vector<Stage>& stages) {
  int64_t total = 0, common = 0;
  for (const Stage& s : stages) {
    total += int64_t{s.columns} * s.rows;
    common = std::gcd(common, int64_t{s.columns} * s.rows);
  }
  for (int64_t row = 1; total <= nn::kMaxElements && row <= common; ++row)
    if (common % row == 0 && total / row <= nn::kMaxDimension) return static_cast<int>(row);
  core::fail(
      "the compressor reads all weights that produce units as one tensor: {} of them, and one holds at most {}, or {} "
      "where the layers' widths have no common divisor; take a narrower network, or widths that are multiples of 64",
      total, nn::kMaxElements, nn::kMaxDimension);
}

nn::NetworkSpec make_spec(const std::vector<Stage>& stages, bool bias) {
  const int row = row_floats(stages);
  int64_t total = 0;
  for (const Stage& s : stages) total += int64_t{s.columns} * s.rows;
  nn::SpecBuilder b("compressor", {static_cast<int>(total / row), row});
  std::vector<int> looks, answers;
  int at = 0;
  for (size_t l = 0; l < stages.size(); ++l) {
    const auto [groups, columns, rows] = stages[l];
    const int end = at + static_cast<int>(int64_t{columns} * rows / row);
    b.add_on({nn::LayerSpec::kInput}, Op::kSlice, fmt::format("m{}", l), {.axis = 0, .begin = at, .end = end});
    b.add(Op::kReshape, fmt::format("m{}_matrix", l), {.shape = {columns, rows}});
    b.add(Op::kFc, fmt::format("a{}", l), {.units = 1, .bias = false});
    b.add(Op::kReshape, fmt::format("am{}", l), {.shape = {columns}});
    b.add(Op::kFc, fmt::format("b{}", l), {.units = Compressor::kState, .bias = false});
    looks.push_back(b.add(Op::kReshape, fmt::format("v{}", l), {.shape = {1, Compressor::kState}}));
    at = end;
  }
  join(b, looks, "v");
  const int lstm = b.add(Op::kLstm, "lstm", {.units = Compressor::kState});
  for (size_t l = 0; l < stages.size(); ++l) {
    const int step = static_cast<int>(l);
    b.add_on({lstm}, Op::kSlice, fmt::format("h{}", l), {.axis = 0, .begin = step, .end = step + 1});
    b.add(Op::kReshape, fmt::format("h{}_vector", l), {.shape = {Compressor::kState}});
    answers.push_back(b.add(Op::kFc, fmt::format("t{}", l), {.units = stages[l].columns, .bias = bias}));
  }
  join(b, answers, "t");
  b.add(Op::kSigmoid, "p");
  return b.take();
}

// a, B and T: normal, sigma^2 = 2 / (fan_in + fan_out), drawn anew beyond two sigma; the LSTM starts as any other.
void initialize(nn::Parameters& parameters, uint64_t seed, double start) {
  parameters.initialize(seed);
  for (size_t i = 0; i < parameters.entries().size(); ++i) {
    const nn::Parameters::Entry& e = parameters.entries()[i];
    if (e.name.starts_with("lstm.")) continue;
    if (e.spec.name == "bias") {
      std::fill_n(parameters.tensor(e).data, e.spec.shape.size(), static_cast<float>(std::log(start / (1 - start))));
      continue;
    }
    core::Rng rng(seed, core::Stream::kCompressor, i);
    const double sigma = std::sqrt(2.0 / (e.spec.shape[0] + e.spec.shape[1]));
    for (float& v : parameters.tensor(e).span()) {
      float z = rng.normal();
      while (std::abs(z) > 2) z = rng.normal();
      v = static_cast<float>(sigma) * z;
    }
  }
}

// Columns lie far apart in M^T and side by side in the weights: in blocks of rows whose cache lines stay in L1 while
// all units of a tensor take their numbers from them.
std::vector<Compressor::Source> in_blocks(const std::vector<Compressor::Source>& columns) {
  constexpr int kRows = 256;
  std::vector<Compressor::Source> blocks;
  for (const Compressor::Source& s : columns)
    for (int row = 0; row < s.count; row += kRows)
      blocks.push_back({s.to + row, s.entry, s.first + row * s.step, s.step, std::min(kRows, s.count - row)});
  std::ranges::sort(blocks, {}, [](const Compressor::Source& s) { return std::pair(s.entry, s.first); });
  return blocks;
}

}  // namespace

Compressor::Compressor(const nn::NetworkSpec& critic, const nn::UnitGroups& groups, uint64_t seed, double start) {
  const auto columns = columns_of(critic, groups);
  const std::vector<Stage> stages = stages_of(critic, groups, columns);
  int64_t at = 0;
  for (const Stage& stage : stages)
    for (const size_t g : stage.groups)
      for (int u = groups.groups[g].first; u < groups.groups[g].first + groups.groups[g].count; ++u) {
        unit_.push_back(u);
        for (Source source : columns[static_cast<size_t>(u)]) {
          source.to += at;
          sources_.push_back(source);
        }
        at += stage.rows;
      }
  sources_ = in_blocks(sources_);
  const nn::NetworkSpec spec = make_spec(stages, start != 0.5);
  parameters_ = std::make_unique<nn::Parameters>(spec);
  initialize(*parameters_, seed, start);
  network_ = std::make_unique<nn::Network>(spec, *parameters_, 1, nn::Mode::kTraining);
  p_.resize(unit_.size());
  dy_.resize(unit_.size());
}

std::span<const float> Compressor::forward(const nn::Parameters& critic) {
  float* m = network_->input().data;
#pragma omp parallel for schedule(static) num_threads(core::threads())
  for (const Source& s : sources_) {
    const float* from = critic.tensor(critic.entries()[static_cast<size_t>(s.entry)]).data + s.first;
    for (int64_t i = 0; i < s.count; ++i) m[s.to + i] = from[i * s.step];
  }
  return forward_again();
}

std::span<const float> Compressor::forward_again() {
  nn::Pass pass;
  pass.batch = 1;
  pass.training = true;
  const auto y = network_->forward(pass);
  for (size_t i = 0; i < unit_.size(); ++i) p_[static_cast<size_t>(unit_[i])] = y.data[i];
  return p_;
}

std::span<const float> Compressor::backward(std::span<const float> dp) {
  CHECK(dp.size() == unit_.size());
  for (size_t i = 0; i < unit_.size(); ++i) dy_[i] = dp[static_cast<size_t>(unit_[i])];
  nn::Pass pass;
  pass.batch = 1;
  pass.training = true;
  network_->backward(pass, {dy_.data(), {1, static_cast<int>(dy_.size())}});
  return network_->gradients();
}

}  // namespace fdi::compress
