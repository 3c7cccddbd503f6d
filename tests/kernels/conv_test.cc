// Convolution, both paths, forward and both gradients, on every target against the naive twin.
#include "kernels/conv.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "kernels/isa.h"
#include "tests/kernels/random_data.h"
#include "tests/reference/gemm.h"

namespace fdi::kernels {
namespace {

using testing::random_floats;

struct Case {
  int h, w, cin, kh, kw, sh, sw, cout;
  bool same;
  int batch;
};

ConvGeometry geometry(const Case& c) {
  ConvGeometry g;
  g.in_h = c.h, g.in_w = c.w, g.in_channel = c.cin, g.out_channel = c.cout;
  g.kernel_h = c.kh, g.kernel_w = c.kw, g.stride_h = c.sh, g.stride_w = c.sw;
  if (c.same) {
    g.out_h = (c.h + c.sh - 1) / c.sh;
    g.out_w = (c.w + c.sw - 1) / c.sw;
    g.pad_top = std::max(0, (g.out_h - 1) * c.sh + c.kh - c.h) / 2;
    g.pad_left = std::max(0, (g.out_w - 1) * c.sw + c.kw - c.w) / 2;
  } else {
    g.out_h = (c.h - c.kh) / c.sh + 1;
    g.out_w = (c.w - c.kw) / c.sw + 1;
  }
  return g;
}

// Table 2's kernels and strides, image borders of every kind, channels around the vector widths.
const Case kCases[] = {
    {8, 8, 3, 3, 3, 1, 1, 16, true, 2},   {5, 7, 17, 3, 3, 1, 1, 33, true, 3},   {7, 5, 4, 2, 3, 1, 1, 5, true, 2},
    {9, 9, 5, 5, 5, 2, 2, 7, true, 2},    {9, 8, 5, 4, 4, 2, 2, 9, false, 2},    {6, 6, 8, 1, 1, 1, 1, 20, true, 2},
    {6, 6, 8, 1, 1, 2, 2, 20, true, 3},   {1, 60, 1, 1, 18, 1, 6, 12, false, 4}, {2, 4, 6, 2, 8, 1, 1, 6, true, 3},
    {2, 2, 40, 3, 3, 1, 1, 50, true, 5},  {1, 1, 7, 3, 3, 1, 1, 3, true, 1},     {3, 3, 2, 3, 3, 1, 1, 4, false, 1},
    {4, 4, 130, 3, 3, 1, 1, 70, true, 1}, {12, 5, 3, 2, 2, 1, 1, 1, false, 2},   {10, 10, 1, 3, 3, 2, 1, 2, true, 2},
};

class ConvOnIsa : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { set_isa(GetParam()); }
  void TearDown() override { set_isa("auto"); }
};

// F(4x4, 3x3) multiplies by up to 8 and adds up cancelling terms: its errors are about 10 times the direct sum's
// (Lavin & Gray, table 4, had 1.3e-5 where direct had 4e-6 for 512 channels); 32 leaves room for the worst element.
constexpr float kWinogradFactor = 32;

void expect_near(const std::vector<float>& got, const std::vector<float>& want, int64_t terms, const char* what,
                 float factor = 1) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], factor * testing::sum_tolerance(terms)) << what << " at " << i;
}

void check(const Case& c, ConvPath path, int threads) {
  const ConvGeometry g = geometry(c);
  SCOPED_TRACE(::testing::Message() << c.h << "x" << c.w << "x" << c.cin << " kernel " << c.kh << "x" << c.kw
                                    << " stride " << c.sh << "," << c.sw << " cout " << c.cout << " same " << c.same
                                    << " threads " << threads << " path " << static_cast<int>(path));
  const bool approximate = path == ConvPath::kWinograd || path == ConvPath::kAuto;
  const float factor = approximate ? kWinogradFactor : 1;
  const auto x = random_floats(c.batch * g.in_size(), 1), dy = random_floats(c.batch * g.out_size(), 2);
  const auto weight = random_floats(size_t(g.patch()) * c.cout, 3), bias = random_floats(c.cout, 4);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const size_t bytes = std::max(conv2d_workspace_bytes(g, c.batch, path, threads),
                                conv2d_backward_workspace_bytes(g, c.batch, path, threads));
  std::unique_ptr<std::byte, decltype(&std::free)> block(
      static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)), &std::free);
  std::memset(block.get(), 0xFF, bytes);  // NaN: nothing may rely on a clean workspace
  const Workspace ws{block.get(), bytes, threads};

  std::vector<float> y(c.batch * g.out_size(), nan), y_want(y.size());
  reference::conv2d(g, c.batch, x.data(), weight.data(), bias.data(), y_want.data());
  conv2d_forward(g, c.batch, x.data(), weight.data(), nullptr, bias.data(), Activation::kNone, y.data(), path, ws);
  expect_near(y, y_want, g.patch(), "y", factor);

  std::vector<float> packed(packed_b_floats(g.patch(), c.cout));
  pack_b(g.patch(), c.cout, {weight.data(), c.cout}, packed.data());
  for (float& v : y_want) v = std::max(v, 0.0F);
  conv2d_forward(g, c.batch, x.data(), nullptr, packed.data(), bias.data(), Activation::kRelu, y.data(), path, ws);
  expect_near(y, y_want, g.patch(), "y with packed weights and ReLU");

  std::vector<float> dx(x.size(), nan), dw(weight.size(), nan), db(bias.size(), nan);
  std::vector<float> dx_want(x.size()), dw_want(weight.size()), db_want(bias.size());
  reference::conv2d_backward(g, c.batch, x.data(), weight.data(), dy.data(), dx_want.data(), dw_want.data(),
                             db_want.data());
  conv2d_backward_data(g, c.batch, dy.data(), weight.data(), dx.data(), path, ws);
  expect_near(dx, dx_want, int64_t{c.kh} * c.kw * c.cout, "dx", factor);
  conv2d_backward_weight(g, c.batch, x.data(), dy.data(), dw.data(), db.data(), path, ws);
  expect_near(dw, dw_want, c.batch * int64_t{g.out_h} * g.out_w, "dweight", factor);
  expect_near(db, db_want, c.batch * int64_t{g.out_h} * g.out_w, "dbias");
}

TEST_P(ConvOnIsa, FusedPathMatchesTheReference) {
  for (const Case& c : kCases)
    for (int threads : {1, 3}) check(c, ConvPath::kFused, threads);
}

TEST_P(ConvOnIsa, ExplicitPathMatchesTheReference) {
  for (const Case& c : kCases)
    for (int threads : {1, 2}) check(c, ConvPath::kExplicit, threads);
}

TEST_P(ConvOnIsa, WinogradAndTheAutomaticChoiceMatchTheReference) {
  for (const Case& c : kCases)
    for (int threads : {1, 3}) {
      check(c, ConvPath::kWinograd, threads);
      check(c, ConvPath::kAuto, threads);
    }
}

// Odd numbers of threads cut the work in other places than one or two do.
TEST_P(ConvOnIsa, ThreadsGiveTheSameNumbers) {
  for (const Case& c : {Case{8, 8, 32, 3, 3, 1, 1, 48, true, 16}, Case{9, 7, 19, 3, 3, 1, 1, 23, true, 20},
                        Case{9, 9, 20, 3, 3, 2, 2, 24, true, 5}, Case{2, 2, 40, 3, 3, 1, 1, 33, true, 70}})
    for (const ConvPath path : {ConvPath::kAuto, ConvPath::kFused, ConvPath::kExplicit, ConvPath::kWinograd}) {
      const ConvGeometry g = geometry(c);
      const auto x = random_floats(c.batch * g.in_size(), 1), dy = random_floats(c.batch * g.out_size(), 2);
      const auto weight = random_floats(size_t(g.patch()) * c.cout, 3);
      std::vector<float> first;
      for (const int threads : {1, 2, 3, 5, 7, 12}) {
        const size_t bytes = std::max(conv2d_workspace_bytes(g, c.batch, path, threads),
                                      conv2d_backward_workspace_bytes(g, c.batch, path, threads));
        std::unique_ptr<std::byte, decltype(&std::free)> block(
            static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)), &std::free);
        const Workspace ws{block.get(), bytes, threads};
        std::vector<float> all(dy.size() + x.size() + weight.size());
        float *y = all.data(), *dx = y + dy.size(), *dw = dx + x.size();
        conv2d_forward(g, c.batch, x.data(), weight.data(), nullptr, nullptr, Activation::kNone, y, path, ws);
        conv2d_backward_data(g, c.batch, dy.data(), weight.data(), dx, path, ws);
        conv2d_backward_weight(g, c.batch, x.data(), dy.data(), dw, nullptr, path, ws);
        if (threads == 1) first = all;
        EXPECT_EQ(std::memcmp(first.data(), all.data(), all.size() * sizeof(float)), 0)
            << c.h << "x" << c.w << " path " << static_cast<int>(path) << ", " << threads << " threads";
      }
    }
}

// A parallel region inside another gets one thread, whatever it asks for; so does one under OMP_THREAD_LIMIT.
TEST_P(ConvOnIsa, FewerThreadsThanAskedForDoAllTheWork) {
#pragma omp parallel num_threads(2)
#pragma omp single
  for (const ConvPath path : {ConvPath::kFused, ConvPath::kExplicit, ConvPath::kWinograd}) {
    check({8, 8, 32, 3, 3, 1, 1, 48, true, 16}, path, 4);
    check({2, 2, 40, 3, 3, 1, 1, 700, true, 3}, path, 5);
  }
}

TEST_P(ConvOnIsa, ReluKeepsANan) {
  const Case c{8, 8, 16, 3, 3, 1, 1, 17, true, 16};
  const ConvGeometry g = geometry(c);
  const auto weight = random_floats(size_t(g.patch()) * c.cout, 3);
  auto x = random_floats(c.batch * g.in_size(), 1);
  x[5] = std::numeric_limits<float>::quiet_NaN();
  for (const ConvPath path : {ConvPath::kFused, ConvPath::kWinograd}) {
    const size_t bytes = conv2d_workspace_bytes(g, c.batch, path, 1);
    std::unique_ptr<std::byte, decltype(&std::free)> block(
        static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)), &std::free);
    std::vector<float> y(c.batch * g.out_size());
    conv2d_forward(g, c.batch, x.data(), weight.data(), nullptr, nullptr, Activation::kRelu, y.data(), path,
                   {block.get(), bytes, 1});
    for (int j = 0; j < c.cout; ++j) EXPECT_TRUE(std::isnan(y[j])) << "channel " << j;  // full vectors and the edge
  }
}

// A Network plans for a full batch; the last one of an epoch is smaller.
TEST_P(ConvOnIsa, WorkspaceIsEnoughForEverySmallerBatch) {
  for (const Case& c : {Case{8, 8, 40, 3, 3, 1, 1, 48, true, 0}, Case{2, 2, 64, 3, 3, 1, 1, 32, true, 0},
                        Case{9, 9, 20, 3, 3, 2, 2, 24, true, 0}})
    for (const ConvPath path : {ConvPath::kAuto, ConvPath::kFused, ConvPath::kExplicit, ConvPath::kWinograd})
      for (const int full : {7, 60, 128, 200}) {
        const ConvGeometry g = geometry(c);
        for (int batch = 1; batch < full; ++batch) {
          EXPECT_LE(conv2d_workspace_bytes(g, batch, path, 2), conv2d_workspace_bytes(g, full, path, 2))
              << batch << " of " << full << " path " << static_cast<int>(path);
          EXPECT_LE(conv2d_backward_workspace_bytes(g, batch, path, 2),
                    conv2d_backward_workspace_bytes(g, full, path, 2))
              << batch << " of " << full << " path " << static_cast<int>(path);
        }
      }
}

INSTANTIATE_TEST_SUITE_P(All, ConvOnIsa, ::testing::ValuesIn(available_isas()), [](const auto& i) { return i.param; });

TEST(Im2col, AdjointGivesTheSameInnerProduct) {
  // <im2col(x), c> == <x, col2im(c)> defines the adjoint.
  for (const Case& c : kCases) {
    const ConvGeometry g = geometry(c);
    const size_t n = size_t(g.out_h) * g.out_w * g.patch();
    const auto x = random_floats(g.in_size(), 1), columns = random_floats(n, 2);
    std::vector<float> forward(n), adjoint(x.size(), 0.0F), twin;
    im2col(g, x.data(), forward.data());
    reference::im2col(g, 1, x.data(), twin);
    EXPECT_EQ(forward, twin);
    col2im_add(g, columns.data(), adjoint.data());
    double left = 0, right = 0;
    for (size_t i = 0; i < n; ++i) left += double{forward[i]} * columns[i];
    for (size_t i = 0; i < x.size(); ++i) right += double{x[i]} * adjoint[i];
    EXPECT_NEAR(left, right, 1e-4 * (1 + std::abs(left)));
  }
}

#ifdef FDI_HAVE_OPENBLAS
TEST(ConvOnOpenBlas, TakesTheExplicitPath) {
  set_gemm_provider(GemmProvider::kOpenBlas);
  for (const Case& c : kCases) check(c, ConvPath::kFused, 2);
  set_gemm_provider(GemmProvider::kNative);
}
#endif

}  // namespace
}  // namespace fdi::kernels
