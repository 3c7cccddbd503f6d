// Column sums by hand, at the edges of a stripe, where values cancel, and on any number of threads.
#include "kernels/column_sums.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/random_data.h"

namespace fdi::kernels {
namespace {

TEST(ColumnSums, AgreeWithALoop) {
  for (const int64_t columns : {1, 15, 16, 17, 32, 47})
    for (const int64_t rows : {0, 1, 7, 1000}) {
      const auto x = testing::random_floats(static_cast<size_t>(rows * columns), 1);
      std::vector<float> sums(static_cast<size_t>(columns), 99.0F);
      column_sums(rows, columns, x.data(), sums.data(), 2);
      for (int64_t c = 0; c < columns; ++c) {
        double want = 0;
        for (int64_t r = 0; r < rows; ++r) want += x[r * columns + c];
        ASSERT_FLOAT_EQ(sums[c], static_cast<float>(want)) << rows << " x " << columns << ", column " << c;
      }
    }
}

TEST(ColumnSums, SmallValuesAreNotLostBesideLargeOnes) {
  const int rows = 100001, columns = 3;
  std::vector<float> x(rows * columns, 0.01F), sums(columns);
  for (int c = 0; c < columns; ++c) x[c] = 1e6F, x[(rows - 1) * columns + c] = -1e6F;
  column_sums(rows, columns, x.data(), sums.data(), 1);
  for (const float sum : sums) EXPECT_NEAR(sum, (rows - 2) * 0.01, 1e-3);
}

TEST(ColumnSums, ThreadsChangeNoBit) {
  const int64_t rows = 3000, columns = 70;
  const auto x = testing::random_floats(static_cast<size_t>(rows * columns), 2);
  std::vector<float> one(static_cast<size_t>(columns)), many = one;
  column_sums(rows, columns, x.data(), one.data(), 1);
  for (const int threads : {2, 3, 5, 7}) {
    column_sums(rows, columns, x.data(), many.data(), threads);
    EXPECT_EQ(one, many) << threads;
  }
}

}  // namespace
}  // namespace fdi::kernels
