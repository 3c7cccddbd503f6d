// What is measured decides: with planted times and no clock.
#include "compress/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace fdi::compress {
namespace {

// A network of one group whose time has steps of `step` units; the model is off by a factor.
struct Planted {
  double ms_per_unit = 0.01, model_is_off_by = 1;
  int step = 1;
  int measured = 0, rounds = 0;

  double predict(const Keep& keep) const {
    const int width = static_cast<int>(keep.units[0].size());
    return ms_per_unit * ((width + step - 1) / step) * step;
  }
  Keep choose(double ms) const {
    Keep keep{{{}}};
    for (int u = 0; u < 400; ++u) {
      keep.units[0].push_back(u);
      if (u == 0 || predict(keep) <= ms + 1e-9) continue;  // one unit at least
      keep.units[0].pop_back();
      break;
    }
    return keep;
  }
  std::vector<Candidate> run(double max_ms, const VerifyOptions& options = {}) {
    return choose_measured(
        max_ms, [&](double ms) { return choose(ms); }, [&](const Keep& k) { return predict(k); },
        [&](const std::vector<Keep>& keeps) {
          ++rounds;
          std::vector<double> ms;
          for (const Keep& keep : keeps) ms.push_back(predict(keep) * model_is_off_by);
          measured += static_cast<int>(keeps.size());
          return ms;
        },
        options);
  }
};

Candidate chosen(const std::vector<Candidate>& all) {
  EXPECT_EQ(std::ranges::count_if(all, &Candidate::chosen), 1);
  return *std::ranges::find_if(all, &Candidate::chosen);
}

TEST(ChooseMeasured, AGoodModelNeedsOneRound) {
  Planted planted;
  const auto all = planted.run(2.0);
  EXPECT_EQ(planted.rounds, 1);
  EXPECT_EQ(planted.measured, 3);
  EXPECT_EQ(all.size(), 3U);
  EXPECT_LE(chosen(all).measured_ms, 2.0);
  EXPECT_GE(chosen(all).measured_ms, 0.97 * 2.0);
}

TEST(ChooseMeasured, TheBudgetIsScaledByWhatTheModelIsOff) {
  for (const double factor : {0.7, 0.85, 1.15, 1.6}) {
    Planted planted{.model_is_off_by = factor};
    const auto all = planted.run(2.0);
    EXPECT_EQ(planted.rounds, 2) << factor;
    EXPECT_LE(chosen(all).measured_ms, 2.0) << factor;
    EXPECT_GE(chosen(all).measured_ms, 0.97 * 2.0) << factor;
    EXPECT_NEAR(chosen(all).measured_ms, factor * chosen(all).predicted_ms, 1e-9);
  }
}

// Steps of 0.64 ms: below 2 ms there is 1.92, which is not within the slack; nothing is measured twice.
TEST(ChooseMeasured, StepsAllowNoMore) {
  Planted planted{.step = 64};
  const auto all = planted.run(2.5);
  EXPECT_NEAR(chosen(all).measured_ms, 1.92, 1e-9);
  EXPECT_LE(planted.rounds, 4);
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(all[i].keep == all[j].keep);
}

TEST(ChooseMeasured, OutOfReachTheFastestIsLeft) {
  Planted planted{.model_is_off_by = 3, .step = 64};
  const auto all = planted.run(1.0);
  EXPECT_NEAR(chosen(all).measured_ms, 3 * 0.64, 1e-9) << "the least that there is";
}

}  // namespace
}  // namespace fdi::compress
