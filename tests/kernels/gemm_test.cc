// GEMM on every target of the machine against the naive twin: around the tile's edges, all operand forms.
#include "kernels/gemm.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>

#include "kernels/isa.h"
#include "tests/kernels/random_data.h"
#include "tests/reference/gemm.h"

namespace fdi::kernels {
namespace {

using testing::random_floats;

struct AlignedWorkspace {
  explicit AlignedWorkspace(size_t bytes, int threads)
      : block(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)), &std::free),
        view{block.get(), bytes, threads} {}
  std::unique_ptr<std::byte, decltype(&std::free)> block;
  Workspace view;
};

class GemmOnIsa : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { set_isa(GetParam()); }
  void TearDown() override { set_isa("auto"); }
};

struct Form {
  bool a_transposed = false, b_transposed = false, packed = false, accumulate = false, bias = false, relu = false;
};

// Rows of every matrix are 3 floats apart more than needed, filled with NaN: a read or write past an edge shows.
void check(int64_t m, int64_t n, int64_t k, const Form& f, int threads = 1) {
  SCOPED_TRACE(fmt::format("m {} n {} k {} ta {} tb {} packed {} acc {} bias {} relu {} threads {}", m, n, k,
                           f.a_transposed, f.b_transposed, f.packed, f.accumulate, f.bias, f.relu, threads));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto make = [&](int64_t rows, int64_t columns, uint64_t seed) {
    std::vector<float> dense = random_floats(rows * columns, seed), padded(rows * (columns + 3), nan);
    for (int64_t i = 0; i < rows; ++i) std::copy_n(&dense[i * columns], columns, &padded[i * (columns + 3)]);
    return padded;
  };
  const std::vector<float> a = f.a_transposed ? make(k, m, 1) : make(m, k, 1);
  const std::vector<float> b = f.b_transposed ? make(n, k, 2) : make(k, n, 2);
  std::vector<float> c = make(m, n, 3);
  std::vector<float> want = c;
  const std::vector<float> bias = random_floats(n, 4);
  Gemm g;
  g.m = m;
  g.n = n;
  g.k = k;
  g.a = {a.data(), (f.a_transposed ? m : k) + 3, f.a_transposed};
  g.b = {b.data(), (f.b_transposed ? k : n) + 3, f.b_transposed};
  g.c = want.data();
  g.ldc = n + 3;
  g.accumulate = f.accumulate;
  g.bias = f.bias ? bias.data() : nullptr;
  g.activation = f.relu ? Activation::kRelu : Activation::kNone;
  reference::gemm(g);

  g.c = c.data();
  std::vector<float> packed;
  if (f.packed) {
    packed.assign(packed_b_floats(k, n) + 1, nan);
    pack_b(k, n, g.b, packed.data());
    ASSERT_TRUE(std::isnan(packed.back())) << "pack_b wrote past its size";
    g.b = {.data = packed.data(), .packed = true};
  }
  AlignedWorkspace ws(gemm_workspace_bytes(g, threads), threads);
  gemm(g, ws.view);
  const float tolerance = testing::sum_tolerance(k);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n + 3; ++j) {
      const float got = c[i * (n + 3) + j], expected = want[i * (n + 3) + j];
      if (j >= n)
        ASSERT_TRUE(std::isnan(got)) << "wrote past row " << i;
      else
        ASSERT_NEAR(got, expected, tolerance) << "at " << i << ", " << j;
    }
}

TEST_P(GemmOnIsa, EverySizeAroundTheTile) {
  // Tiles are 14 or 6 rows by 2 vectors of 1, 4, 8 or 16 lanes.
  for (int64_t m : {1, 2, 5, 6, 7, 13, 14, 15, 29})
    for (int64_t n : {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67})
      for (int64_t k : {1, 4, 17}) check(m, n, k, {});
}

TEST_P(GemmOnIsa, EveryForm) {
  for (int bits = 0; bits < 64; ++bits) {
    const Form f{(bits & 1) != 0, (bits & 2) != 0,  (bits & 4) != 0,
                 (bits & 8) != 0, (bits & 16) != 0, (bits & 32) != 0};
    check(31, 37, 23, f);
    check(3, 50, 11, f);
  }
}

TEST_P(GemmOnIsa, BlocksOfKAndColumnsMeet) {
  for (const bool transposed : {false, true}) {
    check(20, 40, 385, {.a_transposed = transposed, .bias = true, .relu = true});  // two K blocks
    check(17, 701, 769, {.b_transposed = transposed});                             // three, and two column blocks
    check(101, 350, 400, {.a_transposed = transposed, .accumulate = true});        // B is packed, not read in place
    check(30, 97, 1024, {.b_transposed = transposed});                             // rows of A that share a cache set
  }
  check(1, 129, 1031, {.bias = true});
  check(1, 129, 1031, {.packed = true, .relu = true});
  for (const int64_t n : {1, 15, 16, 17, 32, 47, 64})
    for (const int64_t k : {1, 3, 4, 6, 37}) check(1, n, k, {.packed = true, .accumulate = n % 2 == 1, .bias = k > 3});
}

TEST_P(GemmOnIsa, RowsOneSetApartArePackedCorrectly) {
  // ld is a multiple of 1024 floats only without the padding that check() adds.
  const int64_t m = 40, n = 100, k = 1024;
  const std::vector<float> a = random_floats(m * k, 1), b = random_floats(k * n, 2);
  std::vector<float> c(m * n), want(m * n);
  Gemm g;
  g.m = m, g.n = n, g.k = k;
  g.a = {a.data(), k};
  g.b = {b.data(), n};
  g.ldc = n;
  g.c = want.data();
  reference::gemm(g);
  g.c = c.data();
  AlignedWorkspace ws(gemm_workspace_bytes(g, 1), 1);
  gemm(g, ws.view);
  for (int64_t i = 0; i < m * n; ++i) ASSERT_NEAR(c[i], want[i], testing::sum_tolerance(k)) << i;
}

TEST_P(GemmOnIsa, ThreadsGiveTheSameNumbers) {
  for (const auto& [m, n, k] :
       {std::array<int64_t, 3>{150, 70, 300}, {9, 800, 200}, {400, 10, 100}, {100, 300, 500}, {1, 801, 700}}) {
    check(m, n, k, {.bias = true}, 4);
    const std::vector<float> a = random_floats(m * k, 1), b = random_floats(k * n, 2);
    Gemm g;
    g.m = m, g.n = n, g.k = k;
    g.a = {a.data(), k};
    g.b = {b.data(), n};
    g.ldc = n;
    std::vector<float> packed(packed_b_floats(k, n));
    pack_b(k, n, g.b, packed.data());
    if (m == 1) g.b = {.data = packed.data(), .packed = true};  // the path of one row
    std::vector<float> one(m * n);
    for (int threads : {1, 2, 3, 5}) {
      std::vector<float> c(m * n);
      g.c = c.data();
      AlignedWorkspace ws(gemm_workspace_bytes(g, threads), threads);
      gemm(g, ws.view);
      if (threads == 1) one = c;
      EXPECT_EQ(std::memcmp(one.data(), c.data(), c.size() * sizeof(float)), 0) << threads << " threads";
    }
  }
}

// A Network plans for a full batch; the last one of an epoch is smaller, in m forward and in k for weight gradients.
TEST_P(GemmOnIsa, WorkspaceIsEnoughForEverySmallerProblem) {
  for (const int64_t n : {5, 10, 33, 700})
    for (const bool a_transposed : {false, true})
      for (const bool b_transposed : {false, true}) {
        const auto bytes = [&](int64_t m, int64_t k) {
          const Gemm g{.m = m, .n = n, .k = k, .a = {nullptr, 1024, a_transposed}, .b = {nullptr, n, b_transposed}};
          return gemm_workspace_bytes(g, 2);
        };
        for (const int64_t m : {40, 128, 3000})
          for (const int64_t k : {300, 400, 1000})
            for (const int64_t smaller : {1, 15, 39, 96, 97, 128, 384, 399, 999}) {
              EXPECT_LE(bytes(std::min(m, smaller), k), bytes(m, k)) << m << " " << n << " " << k << " " << smaller;
              EXPECT_LE(bytes(m, std::min(k, smaller)), bytes(m, k)) << m << " " << n << " " << k << " " << smaller;
            }
      }
}

TEST_P(GemmOnIsa, EmptyEdges) {
  std::vector<float> c(6, 7.0F);
  const std::vector<float> bias{1, -2, 3};
  Gemm g;
  g.m = 2, g.n = 3, g.k = 0;
  g.c = c.data();
  g.ldc = 3;
  EXPECT_EQ(gemm_workspace_bytes(g, 1), 0u);
  g.accumulate = true;
  gemm(g, {});
  EXPECT_EQ(c, std::vector<float>(6, 7.0F));
  g.accumulate = false;
  g.bias = bias.data();
  g.activation = Activation::kRelu;
  gemm(g, {});
  EXPECT_EQ(c, (std::vector<float>{1, 0, 3, 1, 0, 3}));
  g.m = 0;
  g.k = 5;
  gemm(g, {});
  g.m = 2;
  g.n = 0;
  gemm(g, {});
  EXPECT_EQ(c, (std::vector<float>{1, 0, 3, 1, 0, 3}));
}

INSTANTIATE_TEST_SUITE_P(All, GemmOnIsa, ::testing::ValuesIn(available_isas()), [](const auto& i) { return i.param; });

#ifdef FDI_HAVE_OPENBLAS
TEST(OpenBlas, GivesTheNativeProvidersNumbers) {
  set_gemm_provider(GemmProvider::kOpenBlas);
  for (int bits = 0; bits < 64; ++bits)
    check(31, 37, 23,
          {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0, (bits & 32) != 0});
  set_gemm_provider(GemmProvider::kNative);
}
#endif

}  // namespace
}  // namespace fdi::kernels
