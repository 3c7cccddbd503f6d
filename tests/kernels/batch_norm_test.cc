// Batch normalisation against the naive twin, on every instruction set.
#include "kernels/batch_norm.h"

#include "tests/kernels/every_isa.h"
#include "tests/reference/elementwise.h"

namespace fdi::kernels {
namespace {

using BatchNormKernel = EveryIsa;
FDI_FOR_EVERY_ISA(BatchNormKernel);

constexpr double kTolerance = 2e-5;     // outputs of order 1 from up to 1000 rows
constexpr double kSumTolerance = 2e-4;  // sums over all rows

struct Result {
  std::vector<float> y, dx, dgamma, dbeta, mean, inv_std, running_mean, running_var;
};

Result run(int rows, int channel, bool relu, const std::vector<float>& x, const std::vector<float>& gamma,
           const std::vector<float>& beta, const std::vector<float>& dy, int threads) {
  const auto n = static_cast<size_t>(channel);
  Result r{std::vector<float>(x.size()), std::vector<float>(x.size()), std::vector<float>(n),
           std::vector<float>(n),        std::vector<float>(n),        std::vector<float>(n),
           std::vector<float>(n),        std::vector<float>(n, 1.0F)};
  std::vector<std::byte> scratch(batch_norm_workspace_bytes(rows, channel));
  const Workspace workspace{scratch.data(), scratch.size(), threads};
  const BatchNorm bn{.rows = rows,
                     .channel = channel,
                     .relu = relu,
                     .gamma = gamma.data(),
                     .beta = beta.data(),
                     .mean = r.mean.data(),
                     .inv_std = r.inv_std.data()};
  batch_norm_forward(bn, 0.1F, x.data(), r.y.data(), r.running_mean.data(), r.running_var.data(), workspace);
  batch_norm_backward(bn, x.data(), dy.data(), r.dx.data(), r.dgamma.data(), r.dbeta.data(), workspace);
  return r;
}

TEST_P(BatchNormKernel, AgreesWithTheNaiveTwin) {
  for (int rows : {2, 7, 8, 9, 127, 128, 129, 1000}) {
    for (int channel : {1, 3, 8, 15, 16, 17, 63, 64, 65}) {
      for (bool relu : {false, true}) {
        const auto size = static_cast<size_t>(rows) * channel;
        const auto x = random_floats(size, 1, -1, 3), dy = random_floats(size, 2);
        const auto gamma = random_floats(channel, 3, 0.5F, 1.5F), beta = random_floats(channel, 4);
        const auto want = reference::batch_norm(rows, channel, 1e-5F, relu, x, gamma, beta, dy);
        const Result got = run(rows, channel, relu, x, gamma, beta, dy, 2);
        const std::string what = std::to_string(rows) + "x" + std::to_string(channel) + (relu ? " relu " : " ");
        expect_close(got.mean, want.mean, kTolerance, what + "mean");
        // Two rows that nearly agree: differences of nearly equal floats, times up to 1 / sqrt(epsilon).
        expect_close(got.y, want.y, rows == 2 ? 1e-3 : kTolerance, what + "y");
        expect_close(got.dgamma, want.dgamma, kSumTolerance, what + "dgamma");
        expect_close(got.dbeta, want.dbeta, kSumTolerance, what + "dbeta");
        expect_close(got.dx, want.dx, rows == 2 ? 5e-3 : kSumTolerance, what + "dx");
        for (int c = 0; c < channel; ++c) {
          EXPECT_NEAR(got.running_mean[c], 0.1 * want.mean[c], 1e-6);
          EXPECT_NEAR(got.running_var[c], 0.9 + 0.1 * want.variance[c] * rows / (rows - 1), 1e-5);
        }
      }
    }
  }
}

TEST_P(BatchNormKernel, ALargeMeanCostsNoDigits) {
  const int rows = 999, channel = 17;
  auto x = random_floats(static_cast<size_t>(rows) * channel, 5);
  for (float& v : x) v = 1000 + std::round(v * 256) / 256;  // exact in float, deviations of order 1
  const std::vector<float> gamma(channel, 1.0F), beta(channel, 0.0F), dy(x.size(), 1.0F);
  const auto want = reference::batch_norm(rows, channel, 1e-5F, false, x, gamma, beta, dy);
  // The mean itself rounds to 1000 * 6e-8, which shifts every y alike.
  expect_close(run(rows, channel, false, x, gamma, beta, dy, 1).y, want.y, 2e-4, "y");
}

TEST_P(BatchNormKernel, TheNumberOfThreadsChangesNoBit) {
  const int rows = 1500, channel = 65;
  const auto size = static_cast<size_t>(rows) * channel;
  const auto x = random_floats(size, 1), dy = random_floats(size, 2);
  const std::vector<float> gamma(channel, 1.1F), beta(channel, 0.1F);
  const Result one = run(rows, channel, true, x, gamma, beta, dy, 1),
               two = run(rows, channel, true, x, gamma, beta, dy, 2);
  EXPECT_EQ(one.y, two.y);
  EXPECT_EQ(one.dx, two.dx);
  EXPECT_EQ(one.dgamma, two.dgamma);
  EXPECT_EQ(one.running_var, two.running_var);
}

TEST_P(BatchNormKernel, InferenceFoldsTheRunningStatistics) {
  for (int channel : {1, 15, 16, 33}) {
    const int rows = 11;
    const auto x = random_floats(static_cast<size_t>(rows) * channel, 1);
    const auto gamma = random_floats(channel, 2), beta = random_floats(channel, 3), mean = random_floats(channel, 4);
    const auto var = random_floats(channel, 5, 0.1F, 2);
    std::vector<float> scale(channel), shift(channel), y(x.size());
    batch_norm_fold(channel, 1e-3F, gamma.data(), beta.data(), mean.data(), var.data(), scale.data(), shift.data());
    batch_norm_inference(rows, channel, scale.data(), shift.data(), true, x.data(), y.data(), 2);
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t c = i % channel;
      const double want = (x[i] - static_cast<double>(mean[c])) / std::sqrt(var[c] + 1e-3) * gamma[c] + beta[c];
      EXPECT_NEAR(y[i], std::max(0.0, want), 2e-6);
    }
  }
}

}  // namespace
}  // namespace fdi::kernels
