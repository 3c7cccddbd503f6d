// Elementwise kernels and softmax against double, on every instruction set.
#include "kernels/elementwise.h"

#include <limits>

#include "kernels/softmax.h"
#include "tests/kernels/every_isa.h"
#include "tests/reference/elementwise.h"

namespace fdi::kernels {
namespace {

using Elementwise = EveryIsa;
FDI_FOR_EVERY_ISA(Elementwise);

constexpr double kExact = 1e-7;           // one multiplication or addition in float
constexpr double kTranscendental = 4e-7;  // what kernels/math-inl.h promises, relative
constexpr int kSizes[] = {0,  1,  2,  3,  4,  7,    8,    9,
                          15, 16, 17, 31, 97, 1009, 40009};  // the last: several pieces, threads

TEST_P(Elementwise, ActivationsAndTheirGradients) {
  for (int n : kSizes) {
    for (int threads : {1, 2}) {
      const auto x = random_floats(n, 1, -12, 12), dy = random_floats(n, 2);
      std::vector<float> relu(n), hyperbolic(n), logistic(n), drelu(n), dhyperbolic(n), dlogistic(n);
      relu_forward(n, x.data(), relu.data(), threads);
      tanh_forward(n, x.data(), hyperbolic.data(), threads);
      sigmoid_forward(n, x.data(), logistic.data(), threads);
      relu_backward(n, relu.data(), dy.data(), drelu.data(), threads);
      tanh_backward(n, hyperbolic.data(), dy.data(), dhyperbolic.data(), threads);
      sigmoid_backward(n, logistic.data(), dy.data(), dlogistic.data(), threads);
      for (int i = 0; i < n; ++i) {
        const double t = std::tanh(static_cast<double>(x[i])), s = reference::sigmoid(x[i]);
        ASSERT_EQ(relu[i], std::max(0.0F, x[i]));
        ASSERT_EQ(drelu[i], x[i] > 0 ? dy[i] : 0.0F);
        ASSERT_NEAR(hyperbolic[i], t, kTranscendental * std::abs(t)) << "tanh " << x[i];
        ASSERT_NEAR(logistic[i], s, kTranscendental * s) << "sigmoid " << x[i];
        ASSERT_NEAR(dhyperbolic[i], dy[i] * (1 - t * t), 2 * kTranscendental);
        ASSERT_NEAR(dlogistic[i], dy[i] * s * (1 - s), 2 * kTranscendental);
      }
    }
  }
}

TEST_P(Elementwise, SumsAndProducts) {
  for (int n : kSizes) {
    const auto a = random_floats(n, 3), b = random_floats(n, 4);
    std::vector<float> sum(n), rectified(n), product(n), scaled(n), axpyed = b, copied(n);
    add(n, a.data(), b.data(), false, sum.data(), 2);
    add(n, a.data(), b.data(), true, rectified.data(), 2);
    multiply(n, a.data(), b.data(), product.data(), 2);
    scale(n, 0.3F, a.data(), scaled.data(), 2);
    axpy(n, 0.3F, a.data(), axpyed.data(), 2);
    copy(n, a.data(), copied.data(), 2);
    for (int i = 0; i < n; ++i) {
      ASSERT_EQ(sum[i], a[i] + b[i]);
      ASSERT_EQ(rectified[i], std::max(0.0F, a[i] + b[i]));
      ASSERT_EQ(product[i], a[i] * b[i]);
      ASSERT_EQ(scaled[i], 0.3F * a[i]);
      ASSERT_NEAR(axpyed[i], static_cast<double>(b[i]) + 0.3F * static_cast<double>(a[i]), 2 * kExact);
      ASSERT_EQ(copied[i], a[i]);
    }
  }
}

TEST_P(Elementwise, MultipliesEveryChannelByItsOwnFactor) {
  for (int channel : {1, 3, 16, 17, 64}) {
    const int batch = 3, rows = 5;
    const auto x = random_floats(batch * rows * channel, 5), factor = random_floats(batch * channel, 6);
    std::vector<float> y(x.size());
    multiply_channels(batch, rows, channel, factor.data(), x.data(), y.data(), 2);
    for (int b = 0; b < batch; ++b)
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < channel; ++c) {
          const int i = (b * rows + r) * channel + c;
          ASSERT_EQ(y[i], x[i] * factor[b * channel + c]);
        }
  }
}

TEST_P(Elementwise, SumsProductsOverTheRows) {
  for (int channel : {1, 3, 16, 17, 64}) {
    const int batch = 3, rows = 5;
    const auto a = random_floats(batch * rows * channel, 5), b = random_floats(batch * rows * channel, 6);
    std::vector<float> y(static_cast<size_t>(batch * channel));
    sum_products(batch, rows, channel, a.data(), b.data(), y.data(), 2);
    for (int e = 0; e < batch; ++e)
      for (int c = 0; c < channel; ++c) {
        double sum = 0;
        for (int r = 0; r < rows; ++r) sum += double{a[(e * rows + r) * channel + c]} * b[(e * rows + r) * channel + c];
        ASSERT_NEAR(y[e * channel + c], sum, rows * kExact);
      }
  }
}

TEST_P(Elementwise, ActivationsAtTheEdgesOfFloat) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{-inf, -1e30F, -100, -88.5F, -1e-30F, -0.0F, 0, 1e-30F, 1e-4F, 88.5F, 100, 1e30F, inf};
  std::vector<float> t(x.size()), s(x.size());
  tanh_forward(static_cast<int64_t>(x.size()), x.data(), t.data(), 1);
  sigmoid_forward(static_cast<int64_t>(x.size()), x.data(), s.data(), 1);
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(t[i], std::tanh(x[i]), kTranscendental * std::abs(std::tanh(x[i]))) << x[i];
    EXPECT_NEAR(s[i], reference::sigmoid(x[i]), 1e-7) << x[i];
  }
}

TEST_P(Elementwise, ReluKeepsANanVisible) {  // a training run that diverged must not look healthy
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x(33, nan);
  std::vector<float> y(33, 0.0F);
  relu_forward(33, x.data(), y.data(), 1);
  for (float v : y) EXPECT_TRUE(std::isnan(v));
}

TEST_P(Elementwise, SoftmaxCrossEntropy) {
  for (int classes : {1, 2, 7, 8, 10, 16, 17, 1000}) {
    for (int batch : {1, 3, 40}) {
      auto logits = random_floats(static_cast<size_t>(batch) * classes, 7, -20, 20);
      logits[0] = 300;  // exp of it alone would overflow
      std::vector<int> labels(batch);
      for (int b = 0; b < batch; ++b) labels[b] = (b * 7 + 1) % classes;
      const auto want = reference::softmax_cross_entropy(batch, classes, logits, labels);
      std::vector<float> losses(batch), p(logits.size()), dx(logits.size());
      softmax_cross_entropy(batch, classes, logits.data(), labels.data(), losses.data(), p.data(), dx.data(), 2);
      expect_close(losses, want.losses, 1e-6, "loss");
      expect_close(p, want.probabilities, 1e-6, "probability");
      expect_close(dx, want.dlogits, 1e-6, "gradient");
      softmax_cross_entropy(batch, classes, logits.data(), labels.data(), losses.data(), nullptr, logits.data(), 1);
      EXPECT_EQ(logits, dx) << "in place";
    }
  }
}

}  // namespace
}  // namespace fdi::kernels
