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

// Writes what stays of a block of `size` floats: of the axes from `axis` on.
void gather(const float* from, int64_t size, const core::Shape& shape, const Axes& keep, size_t axis, float*& to) {
  if (axis == keep.size()) {
    *to++ = *from;
    return;
  }
  const int64_t stride = size / shape[static_cast<int>(axis)];
  for (const int i : keep[axis]) gather(from + i * stride, stride, shape, keep, axis + 1, to);
}

nn::Parameters copy_of(const nn::Model& model) {
  nn::Parameters out(model.spec);
  std::copy(model.parameters.all().begin(), model.parameters.all().end(), out.all().begin());
  return out;
}

}  // namespace

nn::Model shrink(const nn::Model& model, const nn::UnitGroups& groups, const Keep& keep) {
  nn::NetworkSpec spec = nn::with_widths(model.spec, groups, widths_of(keep));
  nn::Parameters parameters(spec);
  const std::vector<bool> kept = kept_units(keep, groups);
  for (const nn::Parameters::Entry& e : model.parameters.entries()) {
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
    const nn::Parameters::Entry& to = *parameters.find(e.name);
    for (int axis = 0; axis < e.spec.shape.rank; ++axis)
      CHECK(std::ssize(axes[static_cast<size_t>(axis)]) == to.spec.shape[axis]);
    float* out = parameters.tensor(to).data;
    gather(model.parameters.tensor(e).data, e.spec.shape.size(), e.spec.shape, axes, 0, out);
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
    if (!(difference <= largest)) largest = difference;  // a NaN shows
  }
  return largest;
}

}  // namespace fdi::compress
