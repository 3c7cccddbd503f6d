#include "profile/statistics.h"

#include <Eigen/Dense>
#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

namespace fdi::profile {

Errors errors(std::span<const double> predicted_us, std::span<const double> measured_us) {
  Errors e;
  const size_t n = measured_us.size();
  if (n == 0) return e;
  double mean = 0, residual = 0, spread = 0;
  for (const double us : measured_us) mean += us / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) {
    const double difference = predicted_us[i] - measured_us[i], relative = std::abs(difference) / measured_us[i];
    e.mape += relative;
    e.mae_us += std::abs(difference);
    e.within_5 += relative <= 0.05 ? 1 : 0;
    e.within_10 += relative <= 0.10 ? 1 : 0;
    residual += difference * difference;
    spread += (measured_us[i] - mean) * (measured_us[i] - mean);
  }
  for (double* sum : {&e.mape, &e.mae_us, &e.within_5, &e.within_10}) *sum /= static_cast<double>(n);
  e.r2 = spread > 0 ? 1 - residual / spread : 0;
  return e;
}

std::vector<double> p_values(const std::vector<std::vector<double>>& x, std::span<const double> y) {
  const auto n = static_cast<Eigen::Index>(x.size());
  const auto columns = static_cast<Eigen::Index>(x.empty() ? 0 : x.front().size());
  std::vector<double> p(static_cast<size_t>(columns), 1.0);
  if (n <= columns + 1) return p;
  // Centred columns of length 1: the intercept drops out, the coefficients' t-values stay.
  Eigen::MatrixXd a(n, columns);
  Eigen::VectorXd target(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < columns; ++j) a(i, j) = x[i][j];
    target[i] = y[i];
  }
  target.array() -= target.mean();
  for (Eigen::Index j = 0; j < columns; ++j) {
    const double size = a.col(j).norm();
    a.col(j).array() -= a.col(j).mean();
    const double length = a.col(j).norm();
    if (length > 1e-12 * size) {
      a.col(j) /= length;
    } else {
      a.col(j).setZero();
    }
  }
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(a);
  qr.setThreshold(1e-9);
  const Eigen::Index rank = qr.rank();
  const double freedom = static_cast<double>(n - 1 - rank);
  if (rank == 0 || freedom <= 0) return p;
  const Eigen::VectorXd rotated = qr.householderQ().adjoint() * target;
  const double variance = rotated.tail(n - rank).squaredNorm() / freedom;
  const Eigen::MatrixXd r = qr.matrixR().topLeftCorner(rank, rank).triangularView<Eigen::Upper>();
  const Eigen::VectorXd beta = r.triangularView<Eigen::Upper>().solve(rotated.head(rank));
  const Eigen::MatrixXd inverse = r.triangularView<Eigen::Upper>().solve(Eigen::MatrixXd::Identity(rank, rank));
  const boost::math::students_t distribution(freedom);
  for (Eigen::Index k = 0; k < rank; ++k) {
    const double deviation = std::sqrt(variance) * inverse.row(k).norm();
    const double t = deviation > 0 ? std::abs(beta[k]) / deviation : std::numeric_limits<double>::infinity();
    const auto column = static_cast<size_t>(qr.colsPermutation().indices()[k]);
    p[column] = std::isfinite(t) ? 2 * boost::math::cdf(boost::math::complement(distribution, t)) : 0;
  }
  return p;
}

double conformal_quantile(std::vector<double> values, double share) {
  const auto rank = static_cast<size_t>(std::ceil((static_cast<double>(values.size()) + 1) * share));
  if (rank == 0 || rank > values.size()) return std::numeric_limits<double>::infinity();
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(rank) - 1, values.end());
  return values[rank - 1];
}

}  // namespace fdi::profile
