#include "profile/nnls.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

namespace fdi::profile {
namespace {

constexpr int kMax = Gram::kMaxColumns;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, kMax, kMax>;  // on the stack
using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, kMax, 1>;
using Indices = Eigen::Matrix<int, Eigen::Dynamic, 1, 0, kMax, 1>;

// The normal equations with every column scaled to length 1, so that FLOPs and floats meet as equals.
struct Problem {
  int n;
  Matrix a;
  Vector b, scale;

  explicit Problem(const Gram& gram) : n(gram.columns() - 1), a(n, n), b(n), scale(n) {
    const double target = std::sqrt(gram.at(n, n));
    for (int i = 0; i < n; ++i) scale[i] = gram.at(i, i) > 0 ? 1 / std::sqrt(gram.at(i, i)) : 0;
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) a(i, j) = gram.at(i, j) * scale[i] * scale[j];
      b[i] = target > 0 ? gram.at(i, n) * scale[i] / target : 0;
    }
  }
};

// The unconstrained solution on the columns of `used`; others 0.
Vector solve(const Problem& problem, const Indices& used) {
  const auto k = used.size();
  Matrix a(k, k);
  Vector b(k);
  for (int i = 0; i < k; ++i) {
    b[i] = problem.b[used[i]];
    for (int j = 0; j < k; ++j) a(i, j) = problem.a(used[i], used[j]);
  }
  const Vector x = a.ldlt().solve(b);
  Vector full = Vector::Zero(problem.n);
  for (int i = 0; i < k; ++i) full[used[i]] = x[i];
  return full;
}

// The share of column j that the used columns cannot express (columns have length 1).
double new_share(const Problem& problem, const Indices& used, int j) {
  const auto k = used.size();
  if (k == 0) return problem.a(j, j);
  Matrix a(k, k);
  Vector c(k);
  for (int i = 0; i < k; ++i) {
    c[i] = problem.a(used[i], j);
    for (int l = 0; l < k; ++l) a(i, l) = problem.a(used[i], used[l]);
  }
  return problem.a(j, j) - c.dot(Vector(a.ldlt().solve(c)));
}

}  // namespace

Nnls solve_nnls(const Gram& gram, const Nnls* start) {
  constexpr double kGradient = 1e-10;  // of lengths 1: below it a column would not help
  constexpr double kDependent = 1e-11;
  const Problem problem(gram);
  const int n = problem.n;
  Indices used(0);
  std::array<bool, kMax> is_used{}, barred{};
  Vector x = Vector::Zero(n);
  const auto admit = [&](int j) {
    if (new_share(problem, used, j) < kDependent) {
      barred[j] = true;
      return;
    }
    used.conservativeResize(used.size() + 1);
    used[used.size() - 1] = j;
    is_used[j] = true;
  };
  // To the best solution on the used columns; those that stop at 0 on the way go out.
  const auto settle = [&](int newest) {
    while (used.size() > 0) {
      const Vector wanted = solve(problem, used);
      double step = 1;  // as far towards the wanted solution as all weights stay positive
      int stopper = -1;
      for (int i = 0; i < used.size(); ++i) {
        const int j = used[i];
        if (wanted[j] > 0 || x[j] / (x[j] - wanted[j]) >= step) continue;
        step = x[j] / (x[j] - wanted[j]);
        stopper = i;
      }
      if (stopper < 0) {
        x = wanted.cwiseMax(0);
        return;
      }
      x += step * (wanted - x);
      const int out = used[stopper];
      x[out] = 0;
      is_used[out] = false;
      barred.fill(false);
      if (newest >= 0 && out == newest) barred[newest] = true;  // went in and out again: rounding, not progress
      used[stopper] = used[used.size() - 1];
      used.conservativeResize(used.size() - 1);
    }
  };
  if (start != nullptr) {
    for (int j = 0; j < n; ++j)
      if (start->weight[j] > 0) admit(j);
    settle(-1);
  }
  for (int round = 0; round < 3 * n; ++round) {
    const Vector gradient = problem.b - problem.a * x;
    int best = -1;
    for (int j = 0; j < n; ++j)
      if (!is_used[j] && !barred[j] && gradient[j] > kGradient && (best < 0 || gradient[j] > gradient[best])) best = j;
    if (best < 0) break;
    admit(best);
    if (is_used[best]) settle(best);
  }
  Nnls result;
  const double target = std::sqrt(gram.at(n, n));
  for (int j = 0; j < n; ++j) result.weight[j] = x[j] * problem.scale[j] * target;
  // |y - X w|^2 from the sums; the fit is no worse than rounding, never below 0.
  const double share = 1 - 2 * problem.b.dot(x) + x.dot(problem.a * x);
  result.error = std::max(0.0, share) * gram.at(n, n);
  return result;
}

}  // namespace fdi::profile
