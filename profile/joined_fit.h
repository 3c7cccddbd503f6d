// JoinedFit: the least squares of a few columns, their companions, with one more column, for many such newcomers in
// turn. Most do not help enough, which a bound tells without a fit of their own. Called by the search for variables.
#pragma once
#include <Eigen/Cholesky>
#include <vector>

#include "profile/gram.h"
#include "profile/nnls.h"
#include "profile/tree_fit.h"

namespace fdi::profile {

class JoinedFit {
 public:
  explicit JoinedFit(FitCost& cost) : cost_(cost) {}

  // Sums of products of the companions and the target; column 0 is left free for the newcomer.
  void set_companions(const Gram& gram);
  int columns() const { return gram_.columns(); }
  double alone() const { return alone_.error; }  // of the companions

  // `products`: of the newcomer with itself and with every other column. A squared error that is no less than `wanted`
  // may be told too low, but not below `wanted`.
  double with(const std::vector<double>& products, double wanted);

 private:
  double without_signs() const;  // the error where the companions' weights may turn negative

  FitCost& cost_;
  Gram gram_;
  Nnls alone_, joined_;
  std::vector<int> used_;  // companions with a weight
  Eigen::LLT<Eigen::MatrixXd> factor_;
};

}  // namespace fdi::profile
