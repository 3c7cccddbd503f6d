// Columns: the values of a variable in every sample, which the search for variables compares by the thousand. What a
// field is when rounded up, and where it counts, are worked out once and multiplied.
#pragma once
#include <array>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "profile/tree_fit.h"
#include "profile/variable.h"

namespace fdi::profile {

using Column = std::vector<double>;

// A row is divided by the sample's time where errors are relative.
class Columns {
 public:
  Columns(std::span<const Observation> data, Weighting weighting);

  const Column& scale() const { return scale_; }  // the bias: 1, or 1 / time
  const Column& target() const { return target_; }
  // Where a variable may count, beside always: beyond quantiles of memory and channels, or in partly filled vectors.
  const std::vector<Gate>& gates() const { return gates_; }
  Column of(const Variable& variable);

 private:
  const std::span<const Observation> data_;
  Column scale_, target_;
  std::vector<Gate> gates_;
  std::map<std::pair<Field, std::array<int, kAxes>>, Column> rounded_;
  std::map<Gate, Column> counted_;
};

}  // namespace fdi::profile
