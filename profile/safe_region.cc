#include "profile/safe_region.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace fdi::profile {
namespace {

bool is_channel(Field field) { return field == Field::kInChannel || field == Field::kOutChannel; }

// Neither rounded nor bounded, or not there at all.
bool is_plain(const Law& law, size_t i) {
  return law.weight[i] == 0 || law.variables[i] == Variable{.field = law.variables[i].field};
}

// What the conditions on one channel count leave of it.
ChannelBounds bounds_of(const std::vector<std::pair<Condition, bool>>& way, Field field) {
  ChannelBounds bounds;
  for (const auto& [condition, holds] : way) {
    if (condition.field != field) continue;
    const auto most = static_cast<int>(std::min<double>(condition.threshold, kUnbounded));  // rounded down
    if (holds)
      bounds.high = std::min(bounds.high, most);
    else
      bounds.low = std::max(bounds.low, most + 1);
  }
  return bounds;
}

// The conditions on everything but channel counts; of two on one size the one that says more.
std::string text_of(nn::Op op, const std::vector<std::pair<Condition, bool>>& way) {
  std::string text;
  for (size_t i = 0; i < way.size(); ++i) {
    const auto& [condition, holds] = way[i];
    bool told = is_channel(condition.field);
    for (size_t k = 0; k < way.size(); ++k) {
      if (k == i || way[k].first.field != condition.field || way[k].second != holds) continue;
      const double more = (way[k].first.threshold - condition.threshold) * (holds ? -1 : 1);
      told = told || more > 0 || (more == 0 && k > i);
    }
    if (!told) text += (text.empty() ? "" : ", ") + describe(op, condition, holds);
  }
  return text;
}

}  // namespace

ChannelLaw channel_law(const Law& law, const device::Component& component) {
  const nn::Op op = component.layer.op;
  if (op != nn::Op::kConv2d && op != nn::Op::kFc)
    core::fail("{} a safe region is known for conv2d and fc only", describe(component.layer));
  for (size_t i = 0; i < law.variables.size(); ++i)
    if (!is_plain(law, i))
      core::fail("{} a law with \"{}\" has no safe region of this form; fit with the paper's features",
                 describe(component.layer), describe(op, law.variables[i]));
  // Bilinear in the two counts: four points tell it.
  constexpr int kFar = 1025, kApart = kFar - 1;
  const auto y = [&](int in, int out) { return law(structure_of(with_channels(component, in, out))); };
  const double near = y(1, 1), far_in = y(kFar, 1), far_out = y(1, kFar), far_both = y(kFar, kFar);
  ChannelLaw c;
  c.product = (far_both - far_in - far_out + near) / kApart / kApart;
  c.in_term = (far_in - near) / kApart - c.product;
  c.out_term = (far_out - near) / kApart - c.product;
  c.bias = near - c.product - c.in_term - c.out_term;
  return c;
}

int safe_square(const ChannelLaw& multiple, const ChannelLaw& other, Field channel, int tau, ChannelBounds in,
                ChannelBounds out) {
  const int in_more = channel == Field::kInChannel ? tau - 1 : 0,
            out_more = channel == Field::kOutChannel ? tau - 1 : 0;
  const auto faster = [&](int i, int o) { return multiple(i + in_more, o + out_more) < other(i, o); };
  // The difference is bilinear: largest at a corner of any rectangle.
  const auto safe = [&](int n) {
    const int most_in = std::min(n, in.high), most_out = std::min(n, out.high);
    return in.low <= most_in && out.low <= most_out && faster(in.low, out.low) && faster(most_in, out.low) &&
           faster(in.low, most_out) && faster(most_in, most_out);
  };
  int n = std::max(in.low, out.low);
  if (!safe(n)) return 0;
  while (n < kUnbounded && safe(n + 1)) ++n;
  return n;
}

bool has_safe_regions(const Tree& tree) {
  if (tree.op != nn::Op::kConv2d && tree.op != nn::Op::kFc) return false;
  for (const Node& node : tree.nodes)
    for (size_t i = 0; i < node.law.variables.size(); ++i)
      if (!is_plain(node.law, i)) return false;
  return true;
}

std::vector<SafeRegion> safe_regions(const Tree& tree, const device::Component& component) {
  const Structure structure = structure_of(component);
  std::vector<SafeRegion> regions;
  std::vector<std::pair<Condition, bool>> way;
  for (int at = 0; !tree.nodes[at].is_leaf();) {
    const auto& [condition, left, right, law, samples, mape] = tree.nodes[at];
    if (condition.kind == Condition::Kind::kMultiple && is_channel(condition.field)) {
      SafeRegion region{.condition = condition,
                        .way = way,
                        .in = bounds_of(way, Field::kInChannel),
                        .out = bounds_of(way, Field::kOutChannel),
                        .where = text_of(tree.op, way),
                        .multiple = channel_law(tree.nodes[left].law, component),
                        .other = channel_law(tree.nodes[right].law, component),
                        .samples = samples};
      ChannelBounds& widened = region.widens_in() ? region.in : region.out;
      if (widened.high < kUnbounded) widened.high -= widened.high % region.step();
      region.square = safe_square(region.multiple, region.other, condition.field, region.step(), region.in, region.out);
      regions.push_back(region);
      at = left;
    } else {
      const bool holds = condition.holds(structure);
      way.emplace_back(condition, holds);
      at = holds ? left : right;
    }
  }
  return regions;
}

device::Component with_channels(device::Component component, int in, int out) {
  core::Shape& shape = component.in.front();
  shape[shape.rank - 1] = in;
  component.layer.attr.units = out;
  return component;
}

bool is_safe(const SafeRegion& region, const device::Component& component, int in, int out) {
  const int step = region.step(), more_in = region.widens_in() ? step - 1 : 0, more_out = step - 1 - more_in;
  const auto within = [](const ChannelBounds& b, int n) { return b.low <= n && n <= b.high; };
  if (!within(region.in, in) || !within(region.out, out) ||
      region.multiple(in + more_in, out + more_out) >= region.other(in, out))
    return false;
  const auto on_the_way = [&](int i, int o) {
    const Structure structure = structure_of(with_channels(component, i, o));
    return std::ranges::all_of(region.way, [&](const auto& c) { return c.first.holds(structure) == c.second; });
  };
  const auto next = [step](int n, int more) { return more == 0 ? n : (n + step - 1) / step * step; };
  return on_the_way(in, out) && on_the_way(next(in, more_in), next(out, more_out));
}

std::string simplified_model(nn::Op op, const std::vector<SafeRegion>& regions) {
  std::string text, where;
  int square = kUnbounded;
  ChannelBounds in, out;
  const auto narrow = [](ChannelBounds& b, const ChannelBounds& by) {
    b = {std::max(b.low, by.low), std::min(b.high, by.high)};
  };
  for (const SafeRegion& region : regions) {
    if (region.square == 0) break;  // and so nothing under it can be had by widening
    square = std::min(square, region.square);
    narrow(in, region.in);
    narrow(out, region.out);
    where = region.where;
    text += fmt::format("{}{} to multiples of {}", text.empty() ? "expand " : ", ",
                        field_name(op, region.condition.field), region.step());
  }
  if (text.empty()) return text;
  if (in == ChannelBounds{} && out == ChannelBounds{}) {
    text += square == kUnbounded ? ": faster whatever the channel counts"
                                 : fmt::format(": faster within [1, {}]^2", square);
  } else {
    const auto extent = [&](Field field, const ChannelBounds& b) {
      const int most = std::min(b.high, square);
      if (most < kUnbounded) return fmt::format("{} {} to {}", field_name(op, field), b.low, most);
      return b.low > 1 ? fmt::format("{} from {}", field_name(op, field), b.low)
                       : fmt::format("any {}", field_name(op, field));
    };
    text += ": faster for " + extent(Field::kInChannel, in) + ", " + extent(Field::kOutChannel, out);
  }
  return where.empty() ? text : text + ", while " + where;
}

}  // namespace fdi::profile
