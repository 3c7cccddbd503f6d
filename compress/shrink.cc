#include "compress/shrink.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "nn/fuse.h"

namespace fdi::compress {
namespace {

using Axes = std::vector<std::vector<int>>;  // of a tensor: the indices that stay

Axes axes_that_stay(const nn::Parameters::Entry& e, const nn::UnitGroups& groups, const std::vector<bool>& kept) {
  Axes axes(static_cast<size_t>(e.spec.shape.rank));
  for (int axis = 0; axis < e.spec.shape.rank; ++axis) {
    auto& stay = axes[static_cast<size_t>(axis)];
    stay.resize(static_cast<size_t>(e.spec.shape[axis]));
    std::iota(stay.begin(), stay.end(), 0);
  }
  for (const nn::UnitSlice& slice : groups.slices)
    if (slice.tensor == e.name)
      std::erase_if(axes[static_cast<size_t>(slice.axis)], [&](int i) {
        const int unit = slice.unit[static_cast<size_t>(i)];
        return unit != nn::kFixedUnit && !kept[static_cast<size_t>(unit)];
      });
  return axes;
}

// Of a block of `size` floats, the axes from `axis` on: visit(what stays), in order.
template <class Float, class Visit>
void for_kept(Float* block, int64_t size, const core::Shape& shape, const Axes& keep, size_t axis, const Visit& visit) {
  if (axis == keep.size()) return visit(*block);
  const int64_t stride = size / shape[static_cast<int>(axis)];
  for (const int i : keep[axis]) for_kept(block + i * stride, stride, shape, keep, axis + 1, visit);
}

}  // namespace

nn::Parameters copy_of(const nn::Model& model) {
  nn::Parameters out(model.spec);
  std::ranges::copy(model.parameters.all(), out.all().begin());
  return out;
}

nn::Model shrink(const nn::Model& model, const nn::UnitGroups& groups, const Keep& keep) {
  nn::NetworkSpec spec = nn::with_widths(model.spec, groups, widths_of(keep));
  nn::Parameters parameters(spec);
  const std::vector<bool> kept = kept_units(keep, groups);
  for (const nn::Parameters::Entry& e : model.parameters.entries()) {
    const Axes axes = axes_that_stay(e, groups, kept);
    const nn::Parameters::Entry& to = *parameters.find(e.name);
    for (int axis = 0; axis < e.spec.shape.rank; ++axis)
      CHECK(std::ssize(axes[static_cast<size_t>(axis)]) == to.spec.shape[axis]);
    float* out = parameters.tensor(to).data;
    for_kept(model.parameters.tensor(e).data, e.spec.shape.size(), e.spec.shape, axes, 0,
             [&](float value) { *out++ = value; });
  }
  return {std::move(spec), std::move(parameters), model.metadata};
}

nn::Model widen(const nn::Model& model, const nn::UnitGroups& groups, std::span<const int> widths) {
  nn::NetworkSpec spec = nn::with_widths(model.spec, groups, widths);
  const nn::UnitGroups wide = nn::unit_groups(spec);
  CHECK(nn::group_counts(wide) == std::vector<int>(widths.begin(), widths.end()));
  std::vector<bool> kept(static_cast<size_t>(wide.units()));
  for (size_t g = 0; g < widths.size(); ++g) {
    CHECK(widths[g] >= groups.groups[g].count);
    std::fill_n(kept.begin() + wide.groups[g].first, groups.groups[g].count, true);
  }
  nn::Parameters parameters(spec);
  for (const nn::Parameters::Entry& e : parameters.entries()) {
    const core::Tensor tensor = parameters.tensor(e);
    // Zero weights make the added units 0 and leave them unread; a batch norm must not divide by a variance of 0.
    if (e.spec.init == nn::Init::kOnes) std::ranges::fill(tensor.span(), 1.0F);
    const float* from = model.parameters.tensor(*model.parameters.find(e.name)).data;
    for_kept(tensor.data, e.spec.shape.size(), e.spec.shape, axes_that_stay(e, wide, kept), 0,
             [&](float& value) { value = *from++; });
  }
  return {std::move(spec), std::move(parameters), model.metadata};
}

nn::Model masked(const nn::Model& model, const nn::UnitGroups& groups, const Keep& keep) {
  nn::Model out{model.spec, copy_of(model), model.metadata};
  const std::vector<bool> kept = kept_units(keep, groups);
  nn::scale_units(groups, std::vector<float>(kept.begin(), kept.end()), out.parameters);
  return out;
}

double max_output_difference(const nn::Model& a, const nn::Model& b, int examples, uint64_t seed) {
  CHECK(a.spec.input == b.spec.input);
  std::array<std::vector<float>, 2> outputs;
  for (size_t i = 0; i < 2; ++i) {
    const nn::Model& model = i == 0 ? a : b;
    nn::FoldedNetwork folded = nn::inference_graph(model.spec, model.parameters);
    nn::Network network(folded.spec, folded.parameters, examples, nn::Mode::kInference);
    core::Rng rng(seed, core::Stream::kSynthetic);
    for (float& x : network.input().span()) x = rng.normal();
    nn::Pass pass;
    pass.batch = examples;
    const auto y = network.forward(pass).span();
    outputs[i].assign(y.begin(), y.end());
  }
  CHECK(outputs[0].size() == outputs[1].size());
  double largest = 0;
  for (size_t i = 0; i < outputs[0].size(); ++i) {
    const double difference = std::abs(double{outputs[0][i]} - outputs[1][i]);
    if (std::isnan(difference)) return difference;  // of a NaN, or of infinities: never equal
    largest = std::max(largest, difference);
  }
  return largest;
}

}  // namespace fdi::compress
