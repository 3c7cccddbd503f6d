// The channel axis is followed through the layers; units that meet in an addition are joined (union-find).
#include "nn/unit_groups.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/error.h"

namespace fdi::nn {
namespace {

using Channels = std::vector<int>;  // by index of the last axis: a unit as first numbered, by layer; or kFixedUnit

bool has_units(Op op) { return op == Op::kConv2d || op == Op::kFc || op == Op::kGru || op == Op::kLstm; }

class Ties {
 public:
  int add(int count) {
    const int first = static_cast<int>(parent_.size());
    for (int i = 0; i < count; ++i) parent_.push_back(first + i);
    why_.resize(parent_.size());
    return first;
  }
  int find(int unit) const {
    while (parent_[unit] != unit) unit = parent_[unit] = parent_[parent_[unit]];
    return unit;
  }
  void fix(int unit, const std::string& why) {
    if (unit != kFixedUnit && why_[find(unit)].empty()) why_[find(unit)] = why;
  }
  void fix(const Channels& channels, const std::string& why) {
    for (const int unit : channels) fix(unit, why);
  }
  void join(int a, int b, const std::string& where) {
    if (a == kFixedUnit) return fix(b, "it meets the network's input in " + where);
    if (b == kFixedUnit) return join(b, a, where);
    const int low = std::min(find(a), find(b)), high = std::max(find(a), find(b));
    parent_[high] = low;
    fix(low, why_[high]);
  }
  const std::string& why(int unit) const { return why_[find(unit)]; }

 private:
  mutable std::vector<int> parent_;
  std::vector<std::string> why_;  // of the root: why it cannot go; empty: it can
};

class Tracer {
 public:
  explicit Tracer(const NetworkSpec& spec) : spec_(spec), shapes_(output_shapes(spec)) {
    for (size_t i = 0; i < spec.layers.size(); ++i) channels_.push_back(trace(i));
    ties_.fix(channels_.back(), "it is the output");
  }
  UnitGroups finish();

 private:
  Channels input_channels(int input) const {
    return input == LayerSpec::kInput ? Channels(static_cast<size_t>(spec_.input.back()), kFixedUnit)
                                      : channels_[static_cast<size_t>(input)];
  }
  Channels trace(size_t i);
  Channels reshaped(const LayerSpec& layer, const Channels& in, const Shape& out);
  void number_units(UnitGroups& out);
  void list_slices(UnitGroups& out) const;

  const NetworkSpec& spec_;
  const std::vector<Shape> shapes_;
  std::vector<Channels> channels_;
  std::vector<int> producer_;  // by unit as first numbered: its layer
  Ties ties_;
};

Channels Tracer::trace(size_t i) {
  const LayerSpec& layer = spec_.layers[i];
  const Shape in_shape = input_shapes(spec_, shapes_, i)[0];
  if (has_units(layer.op)) {
    Channels own(static_cast<size_t>(layer.attr.units));
    std::iota(own.begin(), own.end(), ties_.add(layer.attr.units));
    producer_.resize(producer_.size() + own.size(), static_cast<int>(i));
    return own;
  }
  Channels out = input_channels(layer.inputs[0]);
  const bool along_channels = layer.attr.axis == in_shape.rank - 1;
  switch (layer.op) {
    case Op::kAdd:
    case Op::kConcat:
      for (size_t k = 1; k < layer.inputs.size(); ++k) {
        const Channels other = input_channels(layer.inputs[k]);
        if (layer.op == Op::kConcat && along_channels)
          out.insert(out.end(), other.begin(), other.end());
        else
          for (size_t c = 0; c < other.size(); ++c) ties_.join(out[c], other[c], describe(layer));
      }
      return out;
    case Op::kSlice:
      if (!along_channels || layer.attr.end - layer.attr.begin == in_shape.back()) return out;
      ties_.fix(out, describe(layer) + " cuts its channels apart");
      return {out.begin() + layer.attr.begin, out.begin() + layer.attr.end};
    case Op::kFlatten:
    case Op::kReshape:
      return reshaped(layer, out, shapes_[i]);
    default:
      return out;  // pointwise, or a window or mean over the other axes
  }
}

// Elements keep their order, so channel e % in becomes channel e % out. Units survive where each index of the new last
// axis holds one unit only; everything repeats after the least common multiple of both extents.
Channels Tracer::reshaped(const LayerSpec& layer, const Channels& in, const Shape& shape) {
  const auto extent = static_cast<size_t>(shape.back());
  Channels out(extent, kFixedUnit);
  bool same = true;
  const size_t period = std::lcm(in.size(), extent);
  for (size_t e = 0; e < period && same; ++e) {
    int& unit = out[e % extent];
    if (e < extent) unit = in[e % in.size()];
    same = unit == in[e % in.size()];
  }
  if (same) return out;
  ties_.fix(in, describe(layer) + " spreads its channels over several axes");
  return Channels(extent, kFixedUnit);
}

// Units whose ties hold the same layers form a group; a tie that is fixed is in none.
void Tracer::number_units(UnitGroups& out) {
  std::map<int, std::vector<int>> tied;  // root: its layers, in order
  for (size_t u = 0; u < producer_.size(); ++u) tied[ties_.find(static_cast<int>(u))].push_back(producer_[u]);
  std::map<std::vector<int>, size_t> index;
  std::vector<std::vector<int>> roots;  // by group
  for (const auto& [root, layers] : tied) {
    if (!ties_.why(root).empty()) continue;
    const auto [found, fresh] = index.emplace(layers, roots.size());
    if (fresh) {
      roots.emplace_back();
      out.groups.push_back({.name = {}, .layers = layers});
    }
    roots[found->second].push_back(root);
  }
  std::vector<int> number(producer_.size(), kFixedUnit);  // by root
  std::map<int, int> groups_of;                           // first layer: how many groups so far
  int next = 0;
  for (size_t g = 0; g < roots.size(); ++g) {
    UnitGroup& group = out.groups[g];
    const int nth = ++groups_of[group.layers[0]];
    group.name = spec_.layers[static_cast<size_t>(group.layers[0])].name;
    if (nth > 1) group.name += fmt::format("#{}", nth);
    group.first = next;
    group.count = static_cast<int>(roots[g].size());
    for (const int root : roots[g]) number[static_cast<size_t>(root)] = next++;
  }
  for (size_t u = 0; u < producer_.size(); ++u) {
    std::string& why = out.fixed[static_cast<size_t>(producer_[u])];
    if (why.empty()) why = ties_.why(static_cast<int>(u));
  }
  out.channels = channels_;
  for (Channels& channels : out.channels)
    for (int& unit : channels)
      if (unit != kFixedUnit) unit = number[static_cast<size_t>(ties_.find(unit))];
}

// How the axes of a weight are divided among the units that the layer reads and produces.
void Tracer::list_slices(UnitGroups& out) const {
  for (const Parameters::Entry& e : Parameters::list(spec_)) {
    const LayerSpec& layer = spec_.layers[static_cast<size_t>(e.layer)];
    const Channels& own = out.channels[static_cast<size_t>(e.layer)];
    const int input = layer.inputs[0], last = e.spec.shape.rank - 1;
    const bool hidden = e.spec.name == "hidden_weight";
    const auto add = [&](int axis, bool reads, const Channels& units) {
      CHECK(e.spec.shape[axis] % static_cast<int>(units.size()) == 0);
      UnitSlice slice{e.name, e.layer, axis, reads, {}};
      for (int i = 0; i < e.spec.shape[axis]; ++i)  // the gates of a gru or lstm repeat the units
        slice.unit.push_back(units[static_cast<size_t>(i) % units.size()]);
      const bool any = std::any_of(units.begin(), units.end(), [](int u) { return u != kFixedUnit; });
      if (any) out.slices.push_back(std::move(slice));
    };
    if (last > 0 && (hidden || input != LayerSpec::kInput))
      add(last - 1, true, hidden ? own : out.channels[static_cast<size_t>(input)]);
    add(last, false, own);
  }
}

UnitGroups Tracer::finish() {
  UnitGroups out;
  out.fixed.resize(spec_.layers.size());
  number_units(out);
  list_slices(out);
  return out;
}

// Extent of an axis once each group has its new width. A tensor holds every unit of a group equally often, since it
// holds whole layers.
int new_extent(const UnitGroups& groups, const Channels& channels, std::span<const int> widths) {
  int64_t extent = std::count(channels.begin(), channels.end(), kFixedUnit);
  for (size_t g = 0; g < groups.groups.size(); ++g)
    extent += std::count(channels.begin(), channels.end(), groups.groups[g].first) * int64_t{widths[g]};
  if (extent > kMaxDimension) core::fail("widths: an axis of {} channels, want at most {}", extent, kMaxDimension);
  return static_cast<int>(extent);
}

}  // namespace

UnitGroups unit_groups(const NetworkSpec& spec) { return Tracer(spec).finish(); }

void require_groups(const NetworkSpec& spec, const UnitGroups& groups) {
  if (!groups.groups.empty()) return;
  std::string reasons;
  for (size_t i = 0; i < spec.layers.size(); ++i)
    if (!groups.fixed[i].empty())
      reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : ", ", describe(spec.layers[i]), groups.fixed[i]);
  core::fail("network {} has no units that could go: {}", spec.name, reasons.empty() ? "no layer has any" : reasons);
}

std::vector<int> group_counts(const UnitGroups& groups) {
  std::vector<int> counts;
  for (const UnitGroup& group : groups.groups) counts.push_back(group.count);
  return counts;
}

NetworkSpec with_widths(const NetworkSpec& spec, const UnitGroups& groups, std::span<const int> widths) {
  CHECK(widths.size() == groups.groups.size());
  for (size_t g = 0; g < widths.size(); ++g)
    if (widths[g] < 1)
      core::fail("{}: {} units left, want at least 1",
                 describe(spec.layers[static_cast<size_t>(groups.groups[g].layers[0])]), widths[g]);
  const std::vector<Shape> shapes = output_shapes(spec);
  NetworkSpec out = spec;
  for (size_t i = 0; i < out.layers.size(); ++i) {
    LayerSpec& layer = out.layers[i];
    if (has_units(layer.op)) layer.attr.units = new_extent(groups, groups.channels[i], widths);
    if (layer.op == Op::kReshape)
      layer.attr.shape[layer.attr.shape.rank - 1] = new_extent(groups, groups.channels[i], widths);
    const int last = shapes[i].rank - 1;  // a slice has its units only where it takes the whole axis
    if (layer.op == Op::kSlice && layer.attr.axis == last)
      layer.attr.end = layer.attr.begin + new_extent(groups, groups.channels[i], widths);
  }
  output_shapes(out);
  return out;
}

void scale_units(const UnitGroups& groups, std::span<const float> factor, Parameters& parameters) {
  for (const UnitSlice& slice : groups.slices) {
    if (!slice.reads) continue;
    const Tensor w = parameters.tensor(*parameters.find(slice.tensor));
    const int64_t columns = w.shape.back(), rows = w.size() / columns;
    const auto extent = static_cast<int64_t>(slice.unit.size());  // the axis before the last
    for (int64_t r = 0; r < rows; ++r)
      if (const int unit = slice.unit[static_cast<size_t>(r % extent)]; unit != kFixedUnit)
        for (int64_t c = 0; c < columns; ++c) w.data[r * columns + c] *= factor[static_cast<size_t>(unit)];
  }
}

}  // namespace fdi::nn
