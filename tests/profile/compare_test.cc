// Table 5 on planted times: the readable model beside scikit-learn's regressors, on the same held-out samples.
#include "profile/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "profile/op_model.h"
#include "tests/profile/planted.h"

namespace fdi::profile {
namespace {

TEST(Compare, TrainsEveryRegressorOnTheSameSamples) {
  if (std::system("/usr/bin/python3 -c 'import sklearn' 2>/dev/null") != 0)
    GTEST_SKIP() << "python3-sklearn is not installed";
  core::Rng rng(1, core::Stream::kTest);
  SampleSet set;
  const auto time = [](const Structure& s) {
    return 1e-4 * s[Field::kInChannel] * std::ceil(s[Field::kOutChannel] / 16) * 16 + 2;
  };
  for (int i = 0; i < 120; ++i)
    set.samples.push_back(timed(dims_component(nn::Op::kFc, draw(rng, 1, 256), draw(rng, 1, 256)), time, rng, 0.01));
  const Comparison comparison = compare(set);
  ASSERT_EQ(comparison.regressors.size(), 7U);
  const std::vector<OpQuality>& row = comparison.quality.at(nn::Op::kFc);
  ASSERT_EQ(row.size(), 7U);
  for (size_t i = 0; i < row.size(); ++i) {
    SCOPED_TRACE(comparison.regressors[i]);
    EXPECT_EQ(row[i].held_out, 30);
    EXPECT_GT(row[i].mape, 0);
    EXPECT_LT(row[i].mape, 0.2);  // each has learned something
    EXPECT_GE(row[i].mape, row[0].mape * 0.999);
  }
  EXPECT_EQ(row[0].mape, TimeModel::fit(set).quality().at(nn::Op::kFc).mape);
  EXPECT_NE(comparison.text().find("GBRT"), std::string::npos);
}

}  // namespace
}  // namespace fdi::profile
