// One more column for a law: the bound that saves a fit, against the fit itself.
#include "profile/joined_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/rng.h"

namespace fdi::profile {
namespace {

constexpr int kCompanions = 4, kRows = 40;

struct Problem {
  std::vector<std::vector<double>> companions;  // the target comes last
  std::vector<double> newcomer;
};

Problem draw_problem(uint64_t seed) {
  core::Rng rng(seed, core::Stream::kTest);
  Problem problem;
  problem.companions.resize(kCompanions + 1);
  for (int i = 0; i < kRows; ++i) {
    double target = rng.normal();
    for (int j = 0; j < kCompanions; ++j) {
      problem.companions[j].push_back(std::abs(rng.normal()) * std::pow(10.0, j));
      target += (j - 1) * problem.companions[j].back() / std::pow(10.0, j);  // of the first one a negative weight
    }
    problem.newcomer.push_back(std::abs(rng.normal()));
    problem.companions[kCompanions].push_back(target + (seed % 3 == 0 ? -1.0 : 2.0) * problem.newcomer.back());
  }
  return problem;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST(JoinedFit, IsTheFitOfAllColumnsOrABoundThatIsNoLess) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const Problem problem = draw_problem(seed);
    Gram gram(kCompanions + 2), whole(kCompanions + 2);
    std::vector<double> products{dot(problem.newcomer, problem.newcomer)};
    for (int i = 0; i <= kCompanions; ++i) {
      products.push_back(dot(problem.newcomer, problem.companions[i]));
      for (int j = 0; j <= i; ++j) gram.set(i + 1, j + 1, dot(problem.companions[i], problem.companions[j]));
    }
    whole = gram;
    for (size_t i = 0; i < products.size(); ++i) whole.set(0, static_cast<int>(i), products[i]);
    FitCost cost;
    JoinedFit fit(cost);
    fit.set_companions(gram);
    const double exact = solve_nnls(whole).error;
    EXPECT_GE(fit.alone(), exact * (1 - 1e-9));
    EXPECT_NEAR(fit.with(products, std::numeric_limits<double>::max()), exact, 1e-6 * exact) << seed;
    const int64_t solves = cost.solves;
    EXPECT_GE(fit.with(products, exact * 0.5), exact * 0.5) << seed;
    EXPECT_LE(cost.solves, solves + 1);
    EXPECT_LT(fit.with(products, exact * 1.01), exact * 1.01) << seed;  // one that is wanted is never turned away
  }
}

// A newcomer that cannot help costs no fit.
TEST(JoinedFit, TurnsAwayWithoutAFit) {
  const Problem problem = draw_problem(1);
  Gram gram(kCompanions + 2);
  for (int i = 0; i <= kCompanions; ++i)
    for (int j = 0; j <= i; ++j) gram.set(i + 1, j + 1, dot(problem.companions[i], problem.companions[j]));
  FitCost cost;
  JoinedFit fit(cost);
  fit.set_companions(gram);
  std::vector<double> products{1};
  for (int i = 0; i <= kCompanions; ++i) products.push_back(0);
  products.back() = -1;  // falls where the target rises
  const int64_t solves = cost.solves;
  EXPECT_EQ(fit.with(products, fit.alone()), fit.alone());
  EXPECT_EQ(cost.solves, solves);
}

}  // namespace
}  // namespace fdi::profile
