#include "compress/taylor.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace fdi::compress {

TaylorImportance::TaylorImportance(const nn::NetworkSpec& spec, const nn::UnitGroups& groups)
    : has_norm_(static_cast<size_t>(groups.units())), sum_(has_norm_.size()), products_(has_norm_.size()) {
  const std::vector<nn::Parameters::Entry> entries = nn::Parameters::list(spec);
  for (const nn::UnitSlice& slice : groups.slices) {
    const auto e = std::ranges::find(entries, slice.tensor, &nn::Parameters::Entry::name);
    CHECK(e != entries.end());
    if (slice.reads || !e->spec.trainable) continue;
    Tensor tensor{e->offset, e->spec.shape.size(), slice.unit};
    if (spec.layers[static_cast<size_t>(slice.layer)].op != nn::Op::kBatchNorm) {
      producers_.push_back(std::move(tensor));
      continue;
    }
    for (const int unit : slice.unit)
      if (unit != nn::kFixedUnit) has_norm_[static_cast<size_t>(unit)] = true;
    (e->spec.name == "gamma" ? gammas_ : betas_).push_back(std::move(tensor));
  }
  CHECK(gammas_.size() == betas_.size());  // in the order of the layers, both
}

void TaylorImportance::add(std::span<const float> weights, std::span<const float> gradients) {
  const auto product = [&](int64_t i) {
    return double{weights[static_cast<size_t>(i)]} * double{gradients[static_cast<size_t>(i)]};
  };
  for (size_t n = 0; n < gammas_.size(); ++n)
    for (int64_t i = 0; i < gammas_[n].size; ++i)
      if (const int unit = gammas_[n].unit[static_cast<size_t>(i)]; unit != nn::kFixedUnit)
        sum_[static_cast<size_t>(unit)] += std::abs(product(gammas_[n].offset + i) + product(betas_[n].offset + i));
  std::ranges::fill(products_, 0);
  for (const Tensor& t : producers_) {
    const auto columns = static_cast<int64_t>(t.unit.size());
    for (int64_t i = 0; i < t.size; ++i)
      if (const int unit = t.unit[static_cast<size_t>(i % columns)]; unit != nn::kFixedUnit)
        products_[static_cast<size_t>(unit)] += product(t.offset + i);
  }
  for (size_t unit = 0; unit < sum_.size(); ++unit)
    if (!has_norm_[unit]) sum_[unit] += std::abs(products_[unit]);
  ++batches_;
}

std::vector<double> TaylorImportance::mean() const {
  CHECK(batches_ > 0);
  std::vector<double> mean = sum_;
  for (double& value : mean) value /= batches_;
  return mean;
}

}  // namespace fdi::compress
