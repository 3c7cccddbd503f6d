#include "profile/safe_region.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace fdi::profile {
namespace {

bool is_channel(Field field) { return field == Field::kInChannel || field == Field::kOutChannel; }

Structure with_channels(device::Component component, int in, int out) {
  core::Shape& shape = component.in.front();
  shape[shape.rank - 1] = in;
  component.layer.attr.units = out;
  return structure_of(component);
}

// Neither rounded nor bounded, or not there at all.
bool is_plain(const Law& law, size_t i) {
  return law.weight[i] == 0 || law.variables[i] == Variable{.field = law.variables[i].field};
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
  const auto y = [&](int in, int out) { return law(with_channels(component, in, out)); };
  const double near = y(1, 1), far_in = y(kFar, 1), far_out = y(1, kFar), far_both = y(kFar, kFar);
  ChannelLaw c;
  c.product = (far_both - far_in - far_out + near) / kApart / kApart;
  c.in_term = (far_in - near) / kApart - c.product;
  c.out_term = (far_out - near) / kApart - c.product;
  c.bias = near - c.product - c.in_term - c.out_term;
  return c;
}

int safe_square(const ChannelLaw& multiple, const ChannelLaw& other, Field channel, int tau) {
  const int in_more = channel == Field::kInChannel ? tau - 1 : 0,
            out_more = channel == Field::kOutChannel ? tau - 1 : 0;
  const auto faster = [&](int in, int out) { return multiple(in + in_more, out + out_more) < other(in, out); };
  // The difference is bilinear: largest at a corner of any square.
  int n = 0;
  while (n < kUnbounded && faster(1, 1) && faster(n + 1, 1) && faster(1, n + 1) && faster(n + 1, n + 1)) ++n;
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
  std::string where;
  for (int at = 0; !tree.nodes[at].is_leaf();) {
    const auto& [condition, left, right, law, samples, mape] = tree.nodes[at];
    if (condition.kind == Condition::Kind::kMultiple && is_channel(condition.field)) {
      SafeRegion region{.condition = condition,
                        .where = where,
                        .multiple = channel_law(tree.nodes[left].law, component),
                        .other = channel_law(tree.nodes[right].law, component)};
      region.square =
          safe_square(region.multiple, region.other, condition.field, static_cast<int>(condition.threshold));
      regions.push_back(region);
      at = left;
    } else {
      const bool holds = condition.holds(structure);
      where += (where.empty() ? "" : ", ") + describe(tree.op, condition, holds);
      at = holds ? left : right;
    }
  }
  return regions;
}

std::string simplified_model(nn::Op op, const std::vector<SafeRegion>& regions) {
  std::string text, where;
  int square = kUnbounded;
  for (const SafeRegion& region : regions) {
    if (region.square == 0) break;  // and so nothing under it can be had by widening
    square = std::min(square, region.square);
    where = region.where;
    text += fmt::format("{}{} to multiples of {}", text.empty() ? "expand " : ", ",
                        field_name(op, region.condition.field), format_number(region.condition.threshold));
  }
  if (text.empty()) return text;
  text +=
      square == kUnbounded ? ": faster whatever the channel counts" : fmt::format(": faster within [1, {}]^2", square);
  return where.empty() ? text : text + ", while " + where;
}

}  // namespace fdi::profile
