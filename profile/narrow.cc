// Which widths hang together, by following the channel axis through the layers.
#include "profile/narrow.h"

#include <algorithm>
#include <numeric>

namespace fdi::profile {
namespace {

using nn::LayerSpec;
using nn::Op;
using nn::Shape;

bool has_width(Op op) { return op == Op::kConv2d || op == Op::kFc || op == Op::kGru || op == Op::kLstm; }

// Layers that each decide a part of a tensor's channel axis; `whole` where it is one layer's width and nothing else.
struct Channels {
  std::vector<int> from;
  bool whole = true;
};

class Groups {
 public:
  explicit Groups(size_t layers) : parent_(layers), fixed_(layers) { std::iota(parent_.begin(), parent_.end(), 0); }
  int find(int i) const {
    while (parent_[i] != i) i = parent_[i];
    return i;
  }
  void join(int a, int b) {
    const int low = std::min(find(a), find(b)), high = std::max(find(a), find(b));
    parent_[high] = low;
    fixed_[low] = fixed_[low] || fixed_[high];
  }
  void fix(const Channels& channels) {
    for (const int i : channels.from) fixed_[find(i)] = true;
  }
  bool fixed(int i) const { return fixed_[find(i)]; }
  // Tensors of equal width: one layer each, or nothing about them may change.
  void agree(const std::vector<Channels>& tensors) {
    bool simple = true;
    for (const Channels& t : tensors) simple = simple && t.whole && t.from.size() == 1;
    for (const Channels& t : tensors) simple ? join(t.from[0], tensors[0].from[0]) : fix(t);
  }

 private:
  std::vector<int> parent_;
  std::vector<bool> fixed_;
};

Channels gather(const std::vector<Channels>& tensors) {
  Channels all{{}, false};
  for (const Channels& t : tensors) all.from.insert(all.from.end(), t.from.begin(), t.from.end());
  return all;
}

}  // namespace

std::vector<int> width_groups(const nn::NetworkSpec& spec) {
  const std::vector<Shape> shapes = nn::output_shapes(spec);
  Groups groups(spec.layers.size());
  std::vector<Channels> channels;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    std::vector<Channels> in;
    for (const int input : layer.inputs)
      in.push_back(input == LayerSpec::kInput ? Channels{{}, false} : channels[static_cast<size_t>(input)]);
    const std::vector<Shape> in_shapes = nn::input_shapes(spec, shapes, i);
    const bool by_channel = layer.attr.axis == in_shapes[0].rank - 1;  // of concat and slice
    Channels out = in[0];
    if (has_width(layer.op)) {
      out = {{static_cast<int>(i)}, true};
    } else if (layer.op == Op::kAdd || (layer.op == Op::kConcat && !by_channel)) {
      groups.agree(in);
    } else if (layer.op == Op::kConcat || layer.op == Op::kFlatten) {
      out = gather(in);
    } else if (layer.op == Op::kSlice && by_channel) {
      groups.fix(in[0]);
    } else if (layer.op == Op::kReshape) {
      if (!in[0].whole || shapes[i].back() % in_shapes[0].back() != 0) groups.fix(in[0]);
      out.whole = false;
    }
    channels.push_back(out);
  }
  groups.fix(channels.back());
  std::vector<int> result(spec.layers.size(), -1);
  for (size_t i = 0; i < spec.layers.size(); ++i)
    if (has_width(spec.layers[i].op) && !groups.fixed(static_cast<int>(i)))
      result[i] = groups.find(static_cast<int>(i));
  return result;
}

nn::NetworkSpec narrow(const nn::NetworkSpec& spec, const std::function<int(int)>& width) {
  const std::vector<Shape> shapes = nn::output_shapes(spec);
  const std::vector<int> group = width_groups(spec);
  nn::NetworkSpec out = spec;
  std::vector<Shape> new_shapes;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec& layer = out.layers[i];
    if (group[i] >= 0) {
      const bool first = group[i] == static_cast<int>(i);
      layer.attr.units = first ? width(layer.attr.units) : out.layers[static_cast<size_t>(group[i])].attr.units;
    }
    const std::vector<Shape> in = nn::input_shapes(out, new_shapes, i);
    if (layer.op == Op::kReshape) {  // its channels shrink as its input's did, the other axes stay
      int& last = layer.attr.shape[layer.attr.shape.rank - 1];
      const Shape was = nn::input_shapes(spec, shapes, i)[0];
      last = static_cast<int>(last * in[0].size() / was.size());
    }
    new_shapes.push_back(nn::output_shape(layer, in));
  }
  return out;
}

}  // namespace fdi::profile
