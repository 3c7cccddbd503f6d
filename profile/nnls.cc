#include "profile/nnls.h"

#include <algorithm>
#include <cmath>

namespace fdi::profile {
namespace {

constexpr int kMax = Gram::kMaxColumns;
using Vector = std::array<double, kMax>;
using Matrix = std::array<Vector, kMax>;

constexpr double kGradient = 1e-10;   // of lengths 1: below it a column would not help
constexpr double kDependent = 1e-11;  // share of a column that the used ones cannot express

// The normal equations with every column scaled to length 1, so that FLOPs and floats meet as equals. Not initialised
// beyond the columns in use: a fit asks some hundred thousand times.
struct Problem {
  int n;
  Matrix a;
  Vector b, scale;

  explicit Problem(const Gram& gram) : n(gram.columns() - 1) {
    const double target = std::sqrt(gram.at(n, n));
    for (int i = 0; i < n; ++i) scale[i] = gram.at(i, i) > 0 ? 1 / std::sqrt(gram.at(i, i)) : 0;
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j <= i; ++j) a[i][j] = a[j][i] = gram.at(i, j) * (scale[i] * scale[j]);
      b[i] = target > 0 ? gram.at(i, n) * scale[i] / target : 0;
    }
  }
};

// The used columns, and the Cholesky factor of their products, kept while they come and go: each costs the square of
// their number.
class Used {
 public:
  explicit Used(const Problem& problem) : problem_(problem) { place_.fill(-1); }

  int size() const { return size_; }
  int operator[](int i) const { return column_[i]; }
  bool holds(int column) const { return place_[column] >= 0; }

  // False for a column that the others express, unless it was in before.
  bool admit(int column, bool again = false) {
    const int k = size_;
    const Vector& a = problem_.a[column];
    Vector row;
    for (int i = 0; i < k; ++i) row[i] = a[column_[i]];
    double own = a[column], seen = problem_.b[column];
    for (int i = 0; i < k; ++i) {
      const Vector& factor = factor_[i];
      const double x = row[i] *= inverse_[i];
      for (int j = i + 1; j < k; ++j) row[j] -= factor[j] * x;
      own -= x * x;
      seen -= x * target_[i];
    }
    if (own < kDependent) {
      if (!again) return false;
      own = kDependent;  // no column is less new with fewer others: rounding
    }
    for (int i = 0; i < k; ++i) factor_[i][k] = row[i];
    inverse_[k] = 1 / std::sqrt(own);
    target_[k] = seen * inverse_[k];
    column_[k] = column;
    place_[column] = k;
    ++size_;
    return true;
  }

  void remove(int column) {
    const int from = place_[column], end = size_;
    place_[column] = -1;
    size_ = from;
    for (int i = from + 1; i < end; ++i) {
      place_[column_[i]] = -1;
      admit(column_[i], true);
    }
  }

  // Weights of the used columns without regard to signs, in their order.
  void solve(Vector& x) const {
    for (int i = size_ - 1; i >= 0; --i) {
      double rest = target_[i];
      for (int j = i + 1; j < size_; ++j) rest -= factor_[i][j] * x[j];
      x[i] = rest * inverse_[i];
    }
  }

 private:
  const Problem& problem_;
  int size_ = 0;
  std::array<int, kMax> column_, place_;
  Matrix factor_;   // row i: column i of the lower factor, below its diagonal
  Vector inverse_;  // of the diagonal
  Vector target_;   // what the factor makes of b
};

}  // namespace

Nnls solve_nnls(const Gram& gram, const Nnls* start) {
  const Problem problem(gram);
  const int n = problem.n;
  Used used(problem);
  std::array<bool, kMax> barred{};
  Vector x{}, wanted;
  // To the best solution on the used columns; those that stop at 0 on the way go out.
  const auto settle = [&](int newest) {
    while (used.size() > 0) {
      used.solve(wanted);
      double step = 1;  // as far towards the wanted solution as all weights stay positive
      int stopper = -1;
      for (int i = 0; i < used.size(); ++i) {
        const double now = x[used[i]];
        if (wanted[i] >= 0 || now / (now - wanted[i]) >= step) continue;
        step = now / (now - wanted[i]);
        stopper = used[i];
      }
      for (int i = 0; i < used.size(); ++i) {
        double& weight = x[used[i]];
        weight = stopper < 0 ? std::max(0.0, wanted[i]) : weight + step * (wanted[i] - weight);
      }
      if (stopper < 0) return;
      x[stopper] = 0;
      used.remove(stopper);
      barred.fill(false);
      if (stopper == newest) barred[newest] = true;  // went in and out again: rounding, not progress
    }
  };
  Vector explained;  // products of the columns with X w
  const auto explain = [&] {
    std::fill_n(explained.begin(), n, 0.0);
    for (int i = 0; i < used.size(); ++i) {
      const Vector& a = problem.a[used[i]];
      for (int j = 0; j < n; ++j) explained[j] += a[j] * x[used[i]];
    }
  };
  if (start != nullptr) {
    for (int j = 0; j < n; ++j)
      if (start->weight[j] > 0 && !used.admit(j)) barred[j] = true;
    settle(-1);
  }
  explain();
  for (int round = 0; round < 3 * n; ++round) {
    int best = -1;
    double steepest = kGradient;
    for (int j = 0; j < n; ++j)
      if (const double gradient = problem.b[j] - explained[j]; !used.holds(j) && !barred[j] && gradient > steepest) {
        steepest = gradient;
        best = j;
      }
    if (best < 0) break;
    if (used.admit(best)) {
      settle(best);
      explain();
    } else {
      barred[best] = true;
    }
  }
  Nnls result;
  const double target = std::sqrt(gram.at(n, n));
  // |y - X w|^2 from the sums; the fit is no worse than rounding, never below 0.
  double share = 1;
  for (int j = 0; j < n; ++j) {
    result.weight[j] = x[j] * problem.scale[j] * target;
    share += x[j] * (explained[j] - 2 * problem.b[j]);
  }
  result.error = std::max(0.0, share) * gram.at(n, n);
  return result;
}

}  // namespace fdi::profile
