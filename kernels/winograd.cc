// Tiles of the image become (m + 2)^2 matrices V[p] (tile, in_channel); each is multiplied with U[p] (in_channel,
// out_channel), and the products M[p] (tile, out_channel) are turned into pixels. Forward: each thread takes blocks of
// tiles whose V and M stay in its L2. Weight gradient: dU[p] = V[p]^T dM[p], the adjoint of the same formula; the
// threads share the transforms of a block, then the products p.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/winograd.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
// clang-format off
#include "kernels/winograd_tiles-inl.h"
// clang-format on
#include <omp.h>

#include <algorithm>

#include "core/cpu.h"
#include "kernels/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {
namespace {

// ---- forward ----

struct ForwardPlan {
  int64_t tiles;      // of all images
  int64_t blocks;     // that the tiles are cut into, and the threads take in turn
  int64_t room;       // tiles that fit into a thread's V and M
  int64_t packed;     // floats of one packed U[p], or of one packed tap
  int64_t v, m;       // floats of a thread's V and M
  size_t gemm_bytes;  // of a thread
  int64_t zeros;
  size_t bytes(int products, int threads) const {
    return static_cast<size_t>((9 + products) * packed + zeros + threads * (v + m)) * sizeof(float) +
           threads * gemm_bytes;
  }
};

Gemm BlockGemm(const ConvGeometry& g, int64_t tiles) {
  Gemm call;
  call.m = tiles;
  call.n = call.ldc = g.out_channel;
  call.k = g.in_channel;
  call.a = {nullptr, g.in_channel};
  call.b.packed = true;
  return call;
}

ForwardPlan PlanForward(const ConvGeometry& g, int m, int batch, int threads) {
  const int products = (m + 2) * (m + 2);
  const Tiles t(g, m, batch);
  ForwardPlan p{};
  p.tiles = t.count;
  // V and M in L2 where channels are few; but enough tiles that reading U for them is cheap beside the products. The
  // blocks do not depend on the number of threads (rounding follows the height of GEMM's tiles); an even number of
  // them, so that two threads get the same work.
  constexpr int64_t kLeastTiles = 84;
  const auto l2 = static_cast<int64_t>(core::cpu_info().l2_bytes / sizeof(float));
  const int64_t fit = l2 * 3 / 4 / (products * (int64_t{g.in_channel} + g.out_channel));
  const int64_t block = std::min(t.count, std::max(fit, kLeastTiles));
  p.blocks = ((t.count + block - 1) / block + 1) / 2 * 2;
  p.room = block;
  p.packed = Align(packed_b_floats(g.in_channel, g.out_channel));
  p.zeros = Align(g.in_channel);
  // Room for the block before balancing: it grows with the batch, so a smaller last batch always fits.
  p.v = products * Products::Distance(block, g.in_channel);
  p.m = products * Products::Distance(block, g.out_channel);
  p.gemm_bytes = (gemm_workspace_bytes(BlockGemm(g, block), 1) + 63) / 64 * 64;
  return p;
}

template <int M>
void ForwardTiles(const ConvGeometry& g, int batch, const float* x, const float* weight, bool reversed_weight,
                  const float* bias, bool relu, float* y, const Workspace& ws) {
  constexpr int kProducts = (M + 2) * (M + 2);
  const Tiles t(g, M, batch);
  const ForwardPlan p = PlanForward(g, M, batch, ws.threads);
  auto* at = reinterpret_cast<float*>(ws.data);
  float* const u = at;
  float* const taps = u + kProducts * p.packed;
  float* const zeros = taps + 9 * p.packed;
  float* const own = zeros + p.zeros;
  std::byte* const gemm_space = reinterpret_cast<std::byte*>(own + ws.threads * (p.v + p.m));
  std::fill_n(zeros, p.zeros, 0.0F);
  const int64_t tap_size = int64_t{g.in_channel} * g.out_channel;

#pragma omp parallel num_threads(ws.threads)
  {
    const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    for (int tap = thread; tap < 9; tap += threads) {
      const Operand b = reversed_weight ? Operand{weight + (8 - tap) * tap_size, g.in_channel, true}
                                        : Operand{weight + tap * tap_size, g.out_channel};
      pack_b(g.in_channel, g.out_channel, b, taps + tap * p.packed);
    }
#pragma omp barrier
    const int64_t lines = p.packed / 16;
    TransformWeight<M>(taps, p.packed, lines * thread / threads * 16, lines * (thread + 1) / threads * 16, u);
#pragma omp barrier
    const Products v(own + thread * (p.v + p.m), p.room, g.in_channel);
    const Products m(v.data + p.v, p.room, g.out_channel);
    for (int64_t block = thread; block < p.blocks; block += threads) {
      const int64_t first = p.tiles * block / p.blocks, count = p.tiles * (block + 1) / p.blocks - first;
      if (count == 0) continue;
      for (int64_t i = 0; i < count; ++i) TransformInput<M>(t, x, zeros, first + i, i, v);
      Gemm call = BlockGemm(g, count);
      for (int product = 0; product < kProducts; ++product) {
        call.a.data = v.data + product * v.distance;
        call.b.data = u + product * p.packed;
        call.c = m.data + product * m.distance;
        gemm(call, {gemm_space + thread * p.gemm_bytes, p.gemm_bytes, 1});
      }
      for (int64_t i = 0; i < count; ++i) TransformOutput<M>(t, m, first + i, i, bias, relu, y);
    }
  }
}

// ---- weight gradient ----

struct WeightPlan {
  int64_t tiles, block;
  int64_t v, m, du, zeros;  // floats, shared by all threads
  size_t gemm_bytes;        // of a thread
  size_t bytes(int threads) const {
    return static_cast<size_t>(v + m + du + zeros) * sizeof(float) + threads * gemm_bytes;
  }
};

// dU (in_channel, out_channel) [+]= V^T (in_channel, tiles) dM (tiles, out_channel)
Gemm WeightGemm(const ConvGeometry& g, int64_t tiles) {
  Gemm call;
  call.m = g.in_channel;
  call.n = call.ldc = g.out_channel;
  call.k = tiles;
  call.a = {nullptr, g.in_channel, true};
  call.b = {nullptr, g.out_channel};
  return call;
}

WeightPlan PlanWeight(const ConvGeometry& g, int m, int batch, int threads) {
  const int products = (m + 2) * (m + 2);
  WeightPlan p{};
  p.tiles = Tiles(g, m, batch).count;
  // Blocks as long as one K block of GEMM, so that dU is read and written seldom.
  constexpr int64_t kBlockTiles = 384;
  const int64_t blocks = (p.tiles + kBlockTiles - 1) / kBlockTiles;
  p.block = (p.tiles + blocks - 1) / blocks;
  const int64_t room = std::min(p.tiles, kBlockTiles);  // as in PlanForward
  p.v = products * Products::Distance(room, g.in_channel);
  p.m = products * Products::Distance(room, g.out_channel);
  p.du = products * Products::Distance(g.in_channel, g.out_channel);
  p.zeros = Align(std::max(g.in_channel, g.out_channel));
  p.gemm_bytes = (gemm_workspace_bytes(WeightGemm(g, room), 1) + 63) / 64 * 64;
  return p;
}

template <int M>
void WeightGradientTiles(const ConvGeometry& g, int batch, const float* x, const float* dy, float* dweight,
                         const Workspace& ws) {
  constexpr int kProducts = (M + 2) * (M + 2);
  const Tiles t(g, M, batch);
  const WeightPlan p = PlanWeight(g, M, batch, ws.threads);
  auto* at = reinterpret_cast<float*>(ws.data);
  const Products v(at, p.block, g.in_channel);
  const Products m(v.data + p.v, p.block, g.out_channel);
  const Products du(m.data + p.m, g.in_channel, g.out_channel);
  float* const zeros = du.data + p.du;
  std::byte* const gemm_space = reinterpret_cast<std::byte*>(zeros + p.zeros);
  std::fill_n(zeros, p.zeros, 0.0F);
  const int64_t size = int64_t{g.in_channel} * g.out_channel;

#pragma omp parallel num_threads(ws.threads)
  {
    const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    for (int64_t first = 0; first < p.tiles; first += p.block) {
      const int64_t count = std::min(p.block, p.tiles - first);
      for (int64_t i = count * thread / threads; i < count * (thread + 1) / threads; ++i) {
        TransformInput<M>(t, x, zeros, first + i, i, v);
        TransformOutputGradient<M>(t, dy, zeros, first + i, i, m);
      }
#pragma omp barrier
      Gemm call = WeightGemm(g, count);
      call.accumulate = first > 0;
      for (int product = thread; product < kProducts; product += threads) {
        call.a.data = v.data + product * v.distance;
        call.b.data = m.data + product * m.distance;
        call.c = du.data + product * du.distance;
        gemm(call, {gemm_space + thread * p.gemm_bytes, p.gemm_bytes, 1});
      }
#pragma omp barrier
    }
    // Whole lines of 16: where a vector ends must not depend on the number of threads.
    const int64_t lines = (size + 15) / 16;
    TransformWeightGradient<M>(du.data, du.distance, size, lines * thread / threads * 16,
                               std::min(size, lines * (thread + 1) / threads * 16), dweight);
  }
}

size_t ForwardBytes(const ConvGeometry& g, int m, int batch, int threads) {
  return PlanForward(g, m, batch, threads).bytes((m + 2) * (m + 2), threads);
}
size_t WeightBytes(const ConvGeometry& g, int m, int batch, int threads) {
  return PlanWeight(g, m, batch, threads).bytes(threads);
}
void Forward(const ConvGeometry& g, int m, int batch, const float* x, const float* weight, bool reversed_weight,
             const float* bias, bool relu, float* y, const Workspace& ws) {
  return m == 4 ? ForwardTiles<4>(g, batch, x, weight, reversed_weight, bias, relu, y, ws)
                : ForwardTiles<2>(g, batch, x, weight, reversed_weight, bias, relu, y, ws);
}
void WeightGradient(const ConvGeometry& g, int m, int batch, const float* x, const float* dy, float* dweight,
                    const Workspace& ws) {
  return m == 4 ? WeightGradientTiles<4>(g, batch, x, dy, dweight, ws)
                : WeightGradientTiles<2>(g, batch, x, dy, dweight, ws);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels {
HWY_EXPORT(ForwardBytes);
HWY_EXPORT(WeightBytes);
HWY_EXPORT(Forward);
HWY_EXPORT(WeightGradient);

int winograd_tile(const ConvGeometry& g) {
  if (g.kernel_h != 3 || g.kernel_w != 3 || g.stride_h != 1 || g.stride_w != 1) return 0;
  const auto multiplications = [&](int64_t m) {
    return ((g.out_h + m - 1) / m) * ((g.out_w + m - 1) / m) * (m + 2) * (m + 2);
  };
  return multiplications(4) <= multiplications(2) ? 4 : 2;
}

bool winograd_pays(const ConvGeometry& g, int batch) {
  const int m = winograd_tile(g);
  if (m == 0 || gemm_provider() != GemmProvider::kNative) return false;
  const int64_t tiles = int64_t{batch} * ((g.out_h + m - 1) / m) * ((g.out_w + m - 1) / m);
  const int64_t direct = int64_t{batch} * g.out_h * g.out_w * 9;
  // Transforms cost as much per channel as 32 channels of products; U is made anew for each call.
  return g.in_channel >= 16 && g.out_channel >= 16 && tiles >= 64 && tiles * (m + 2) * (m + 2) * 3 <= direct * 2;
}

size_t winograd_workspace_bytes(const ConvGeometry& g, int batch, int threads) {
  return HWY_DYNAMIC_DISPATCH(ForwardBytes)(g, winograd_tile(g), batch, threads);
}

void winograd_forward(const ConvGeometry& g, int batch, const float* x, const float* weight, bool reversed_weight,
                      const float* bias, Activation activation, float* y, const Workspace& ws) noexcept {
  HWY_DYNAMIC_DISPATCH(Forward)
  (g, winograd_tile(g), batch, x, weight, reversed_weight, bias, activation == Activation::kRelu, y, ws);
}

size_t winograd_backward_weight_workspace_bytes(const ConvGeometry& g, int batch, int threads) {
  return HWY_DYNAMIC_DISPATCH(WeightBytes)(g, winograd_tile(g), batch, threads);
}

void winograd_backward_weight(const ConvGeometry& g, int batch, const float* x, const float* dy, float* dweight,
                              const Workspace& ws) noexcept {
  HWY_DYNAMIC_DISPATCH(WeightGradient)(g, winograd_tile(g), batch, x, dy, dweight, ws);
}
}  // namespace fdi::kernels
#endif
