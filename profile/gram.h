// Gram: sums of products of rows (the explanatory variables, a 1 for the bias, the target), all that a least-squares
// fit needs. Adding a row costs the same whatever the number of rows before: the split search lives on it.
#pragma once
#include <array>
#include <cstdint>

#include "core/check.h"

namespace fdi::profile {

class Gram {
 public:
  static constexpr int kMaxColumns = 64;  // the target included

  explicit Gram(int columns = 0) : columns_(columns) { CHECK(columns <= kMaxColumns); }
  int columns() const { return columns_; }  // the last one is the target
  int64_t rows() const { return rows_; }

  void add(const double* row) {
    double* at = sum_.data();
    for (int i = 0; i < columns_; ++i)
      for (int j = 0; j <= i; ++j) *at++ += row[i] * row[j];
    ++rows_;
  }
  void set(int i, int j, double sum) { sum_[i >= j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i] = sum; }
  Gram& operator+=(const Gram& other) { return combine(other, 1); }
  Gram& operator-=(const Gram& other) { return combine(other, -1); }
  double at(int i, int j) const { return i >= j ? sum_[i * (i + 1) / 2 + j] : sum_[j * (j + 1) / 2 + i]; }

 private:
  Gram& combine(const Gram& other, int sign) {
    for (int i = 0; i < columns_ * (columns_ + 1) / 2; ++i) sum_[i] += sign * other.sum_[i];
    rows_ += sign * other.rows_;
    return *this;
  }
  int columns_;
  int64_t rows_ = 0;
  std::array<double, kMaxColumns*(kMaxColumns + 1) / 2> sum_{};
};

}  // namespace fdi::profile
