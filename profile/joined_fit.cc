#include "profile/joined_fit.h"

namespace fdi::profile {

void JoinedFit::set_companions(const Gram& gram) {
  gram_ = gram;
  for (int i = 0; i < gram_.columns(); ++i) gram_.set(0, i, 0);
  ++cost_.solves;
  joined_ = alone_ = solve_nnls(gram_);
  used_.clear();
  for (int i = 1; i + 1 < gram_.columns(); ++i)
    if (alone_.weight[i] > 0) used_.push_back(i);
  const auto n = static_cast<Eigen::Index>(used_.size());
  Eigen::MatrixXd products(n, n);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j) products(i, j) = gram_.at(used_[i], used_[j]);
  factor_.compute(products);
}

double JoinedFit::with(const std::vector<double>& products, double wanted) {
  for (int i = 0; i < gram_.columns(); ++i) gram_.set(0, i, products[i]);
  if (const double least = without_signs(); least >= wanted) return least;
  ++cost_.solves;
  joined_.weight[0] = 1;  // likely to be of use
  joined_ = solve_nnls(gram_, &joined_);
  return joined_.error;
}

double JoinedFit::without_signs() const {
  constexpr double kDependent = 1e-11;  // share of the newcomer that the companions cannot express
  const auto n = static_cast<Eigen::Index>(used_.size());
  Eigen::VectorXd shared(n);
  double gradient = gram_.at(0, gram_.columns() - 1);
  for (Eigen::Index i = 0; i < n; ++i) {
    shared[i] = gram_.at(0, used_[i]);
    gradient -= shared[i] * alone_.weight[used_[i]];
  }
  if (gradient <= 0) return alone_.error;
  factor_.matrixL().solveInPlace(shared);
  const double own = gram_.at(0, 0) - shared.squaredNorm();
  return own > kDependent * gram_.at(0, 0) ? alone_.error - gradient * gradient / own : alone_.error;
}

}  // namespace fdi::profile
