// Non-negative least squares against scipy.optimize.nnls (tests/fixtures/make_nnls_fixtures.py).
#include "profile/nnls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/file.h"
#include "core/rng.h"

namespace fdi::profile {
namespace {

// Gram matrices square the condition number: 1e-16 becomes about 1e-10 for columns of the usual kind.
constexpr double kSolverTolerance = 1e-7;

Gram gram_of(const std::vector<double>& a, const std::vector<double>& y, int columns) {
  Gram gram(columns + 1);
  for (size_t i = 0; i < y.size(); ++i) {
    std::vector<double> row(a.begin() + static_cast<ptrdiff_t>(i) * columns,
                            a.begin() + static_cast<ptrdiff_t>(i + 1) * columns);
    row.push_back(y[i]);
    gram.add(row.data());
  }
  return gram;
}

TEST(Nnls, AgreesWithScipy) {
  const auto all = nlohmann::json::parse(core::read_file(FDI_SOURCE_DIR "/tests/fixtures/nnls.json"))["problems"];
  ASSERT_GE(all.size(), 16U);
  for (const nlohmann::json& problem : all) {
    SCOPED_TRACE(problem["name"].get<std::string>());
    const int columns = problem["columns"];
    const auto a = problem["a"].get<std::vector<double>>(), y = problem["y"].get<std::vector<double>>();
    const auto wanted = problem["weight"].get<std::vector<double>>();
    const Nnls got = solve_nnls(gram_of(a, y, columns));
    double size = 0;
    for (const double value : y) size += value * value;
    EXPECT_NEAR(got.error, problem["error"].get<double>(), kSolverTolerance * size);
    for (int j = 0; j < columns; ++j) EXPECT_GE(got.weight[j], 0);
    // What the weights say: X w, row by row (with dependent columns the weights themselves are not unique).
    for (size_t i = 0; i < y.size(); ++i) {
      double ours = 0, theirs = 0;
      for (int j = 0; j < columns; ++j) {
        ours += a[i * columns + j] * got.weight[j];
        theirs += a[i * columns + j] * wanted[j];
      }
      EXPECT_NEAR(ours, theirs, 1e-4 * std::max(1.0, std::abs(theirs))) << "row " << i;
    }
  }
}

TEST(Nnls, NothingToFitGivesZeros) {
  const Nnls nothing = solve_nnls(Gram(4));
  EXPECT_EQ(nothing.weight[0], 0);
  EXPECT_EQ(nothing.error, 0);
  Gram zero_target(3);
  for (const double x : {1.0, 2.0, 3.0}) zero_target.add(std::vector<double>{x, 1, 0}.data());
  EXPECT_EQ(solve_nnls(zero_target).weight[0], 0);
}

TEST(Nnls, WhereItStartsDoesNotMatter) {
  core::Rng rng(7, core::Stream::kTest);
  for (int problem = 0; problem < 50; ++problem) {
    constexpr int kColumns = 9;
    Gram gram(kColumns + 1);
    for (int i = 0; i < 40; ++i) {
      std::vector<double> row;
      for (int j = 0; j < kColumns; ++j) row.push_back(rng.uniform());
      row.push_back(row[0] + 2 * row[3] - row[5] + 0.3 * rng.uniform());  // some weights are held at 0
      gram.add(row.data());
    }
    const Nnls cold = solve_nnls(gram);
    Nnls start;  // columns that have to go out again among them
    for (int j = 0; j < kColumns; ++j) start.weight[j] = rng.uniform() < 0.5 ? 0 : 1;
    const Nnls warm = solve_nnls(gram, &start);
    constexpr double kRounding = 1e-9;  // of columns that are far from dependent
    EXPECT_NEAR(warm.error, cold.error, kRounding * gram.at(kColumns, kColumns));
    for (int j = 0; j < kColumns; ++j) EXPECT_NEAR(warm.weight[j], cold.weight[j], kRounding) << problem << ": " << j;
  }
}

TEST(Nnls, AStartForNothingGivesZeros) {
  Gram zero_target(3);
  for (const double x : {1.0, 2.0, 3.0}) zero_target.add(std::vector<double>{x, 1, 0}.data());
  Nnls start;
  start.weight[0] = start.weight[1] = 1;
  const Nnls got = solve_nnls(zero_target, &start);
  EXPECT_EQ(got.weight[0], 0);
  EXPECT_EQ(got.weight[1], 0);
  EXPECT_EQ(got.error, 0);
}

TEST(Gram, APartTakenAwayLeavesTheRest) {
  const std::vector<double> first{1, 2, 3}, second{4, 5, 6};
  Gram both(3), one(3);
  both.add(first.data());
  both.add(second.data());
  one.add(second.data());
  both -= one;
  EXPECT_EQ(both.rows(), 1);
  EXPECT_EQ(both.at(0, 2), 3);
  EXPECT_EQ(both.at(2, 0), 3);
  EXPECT_EQ(both.at(1, 1), 4);
}

}  // namespace
}  // namespace fdi::profile
