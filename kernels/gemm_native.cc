// The native GEMM provider: blocking, packing order and threads. Compiled once per target; gemm.cc calls the exports.
//
// For each block of columns (nc) and of K (kc): all threads pack B's block into column panels, then each thread goes
// through its rows of A. If B's block fits into L2, each tile's rows stay in L1 while all panels of B pass; else each
// panel stays in L1 while a block of rows passes. A matrix is read where it lies; image patches, transposed operands
// and rows that would share a cache set are copied, one tile of rows at a time. The tiles of a thread are its own, and
// K is never split between threads: the result does not depend on their number.
// Over 300 lines because the plan, its workspace and the loops that follow it have to be read together.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_native.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
// clang-format off
#include "kernels/gemm_tile-inl.h"
#include "kernels/gemm_pack-inl.h"
#include "kernels/gemm_row-inl.h"
// clang-format on
#include <omp.h>

#include "core/cpu.h"
#include "kernels/gemm_native.h"
#include "kernels/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {
namespace {

// Measured on Zen 4 (1 MB of L2): 256 and 512 in place of 384 lose 1-2%.
constexpr int64_t kBlockK = 384;
// Up to so many rows, B is read where it lies: the copy costs more than strided rows do.
constexpr int64_t kDirectRows = 256;
// B packed at a time, where it does not fit into L2 beside A: 6 MB with kBlockK.
constexpr int64_t kBlockColumns = 4096;
// Low tiles read packed rows faster than rows in place (4 rows: 116 against 103 GFLOP/s); worth it for wide B.
constexpr int64_t kPackedRows = 64;
// Rows of A this far apart fall into one L1 set and push each other out: they are packed where B has many panels.
constexpr int64_t kAliasFloats = 1024;
// How far ahead a packed panel of B is fetched: floats x rows of the tile, since low tiles eat B faster.
constexpr int64_t kFetchAhead = int64_t{512} * 14;
constexpr int64_t kForkFlops = 1 << 19;  // below, waking the other threads costs more than it saves

constexpr int64_t kBlockTiles = (kDirectRows + kTileRows - 1) / kTileRows;  // of rows that stay in L2: 384 KB of A

int64_t RoundUp(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
int64_t CeilDiv(int64_t x, int64_t by) { return (x + by - 1) / by; }

// Columns are cut into panels of kTileColumns; the last one takes as few vectors as it needs.
int64_t Panels(int64_t n) { return CeilDiv(n, kTileColumns); }
int64_t PackedFloats(int64_t k, int64_t n) { return k * RoundUp(n, kLanes); }

enum class SourceA { kInPlace, kCopyRows, kPack };  // read where it lies; patches as rows; panels
enum class SourceB { kPrepacked, kPack, kDirect };

struct Plan {
  SourceB source;
  SourceA source_a;
  int threads;
  int64_t kc, nc;       // block sizes
  bool panels_outside;  // the outer loop of a block
  bool split_rows;      // threads share the rows of C, else its column panels
  int64_t packed_b;     // floats, shared
  int64_t tile_floats;  // of a tile's rows, packed or copied
  int64_t lda;          // of the rows of A that a tile reads
  // Floats, per thread: a tile's rows, a run of zeros and a run with its border, ragged columns of B.
  int64_t packed_a, run, tail;
};

Plan MakePlan(const Gemm& g, int threads) {
  Plan p{};
  p.source = g.b.packed ? SourceB::kPrepacked
             // Few rows use each element of B once or twice: copying it first would cost more than it saves.
             : !g.b.transposed && g.m <= kDirectRows ? SourceB::kDirect
                                                     : SourceB::kPack;
  const int64_t row_tiles = CeilDiv(g.m, kTileRows), panels = Panels(g.n);
  p.threads = 2 * g.m * g.n * g.k < kForkFlops ? 1 : threads;
  p.split_rows = row_tiles >= int64_t{4} * p.threads || row_tiles >= panels;
  const int64_t shares = p.split_rows ? row_tiles : panels;
  p.threads = static_cast<int>(std::min<int64_t>(p.threads, shares));
  p.kc = CeilDiv(g.k, CeilDiv(g.k, kBlockK));
  const auto l2_floats = static_cast<int64_t>(core::cpu_info().l2_bytes / sizeof(float));
  const int64_t fit = std::max<int64_t>(1, l2_floats / 2 / p.kc / kTileColumns) * kTileColumns;
  // B stays in L2 while all rows pass by it; where it is too wide for that, or read in place, each of its panels comes
  // by once while a block of rows stays in L2.
  p.panels_outside = g.n > fit || (p.source != SourceB::kPack && g.m <= kDirectRows);
  p.nc = std::min(RoundUp(g.n, kTileColumns), kBlockColumns);
  const bool aliased = g.n > 2 * kTileColumns && g.a.ld % kAliasFloats == 0;
  const bool low = g.m <= kPackedRows && g.n > 2 * kTileColumns;
  p.source_a = g.a.transposed           ? SourceA::kPack
               : g.a.patches != nullptr ? SourceA::kCopyRows
               : low                    ? SourceA::kPack
               : aliased                ? SourceA::kCopyRows
                                        : SourceA::kInPlace;
  p.lda = p.source_a == SourceA::kCopyRows ? RoundUp(p.kc, 16) + 16 : g.a.ld;
  p.packed_b = p.source == SourceB::kPack ? p.kc * p.nc + kPanelSlack : 0;
  p.tile_floats = p.source_a == SourceA::kInPlace    ? 0
                  : p.source_a == SourceA::kCopyRows ? kTileRows * p.lda
                                                     : kTileRows * p.kc + kPanelSlack;
  p.packed_a = p.tile_floats * (p.panels_outside ? std::min(row_tiles, kBlockTiles) : 1);
  const bool runs = g.a.patches != nullptr && g.a.transposed;
  p.run = runs ? int64_t{g.a.patches->kernel_w} * g.a.patches->in_channel : 0;
  p.tail = p.source == SourceB::kDirect && g.n % kLanes != 0 ? p.kc * kTileColumns + kPanelSlack : 0;
  return p;
}

int64_t ThreadFloats(const Plan& p) { return RoundUp(p.packed_a, 16) + RoundUp(2 * p.run, 16) + RoundUp(p.tail, 16); }
size_t PlanBytes(const Plan& p) {
  return static_cast<size_t>(RoundUp(p.packed_b, 16) + p.threads * ThreadFloats(p)) * sizeof(float);
}

// Packs columns [j, j + columns) of rows [k0, k0 + count) of B into one panel of `vectors` vectors.
void PackPanel(const Operand& b, int64_t j, int columns, int vectors, int64_t k0, int64_t count, float* panel) {
  const int64_t width = vectors * kLanes;
  if (columns < width) std::fill_n(panel, width * count, 0.0F);
  if (vectors == kTileVectors)
    PackMatrix<kTileColumns>(b, b.transposed, j, columns, k0, count, panel);
  else
    PackMatrix<kLanes>(b, b.transposed, j, columns, k0, count, panel);
}

struct Columns {
  int64_t begin;
  int count, vectors;
};
Columns PanelColumns(int64_t n, int64_t panel) {
  const int64_t begin = panel * kTileColumns;
  const int count = static_cast<int>(std::min(kTileColumns, n - begin));
  return {begin, count, count > kLanes ? kTileVectors : 1};
}

class Multiply {
 public:
  Multiply(const Gemm& g, const Plan& p, const Workspace& ws)
      : g_(g), p_(p), packed_b_(reinterpret_cast<float*>(ws.data)), own_(packed_b_ + RoundUp(p.packed_b, 16)) {}

  // The share of thread `t`; all p.threads threads call it at the same time.
  void Run(int t) const {
    const int64_t row_tiles = CeilDiv(g_.m, kTileRows), panels = Panels(g_.n);
    const auto part = [&](int64_t all, int i) { return all * i / p_.threads; };
    const int64_t tile_begin = p_.split_rows ? part(row_tiles, t) : 0;
    const int64_t tile_end = p_.split_rows ? part(row_tiles, t + 1) : row_tiles;
    float* const own = own_ + t * ThreadFloats(p_);
    std::fill_n(own + RoundUp(p_.packed_a, 16), p_.run, 0.0F);

    const int64_t panels_per_block = p_.nc / kTileColumns;
    for (int64_t first = 0; first < panels; first += panels_per_block) {
      const int64_t in_block = std::min(panels_per_block, panels - first);
      const int64_t share_begin = first + part(in_block, t), share_end = first + part(in_block, t + 1);
      for (int64_t k0 = 0; k0 < g_.k; k0 += p_.kc) {
        const int64_t count = std::min(p_.kc, g_.k - k0);
        if (p_.source == SourceB::kPack) {
          for (int64_t i = share_begin; i < share_end; ++i) {
            const Columns c = PanelColumns(g_.n, i);
            PackPanel(g_.b, c.begin, c.count, c.vectors, k0, count, packed_b_ + (i - first) * kTileColumns * count);
          }
          Barrier();
        }
        const Block block{first, p_.split_rows ? first : share_begin, p_.split_rows ? first + in_block : share_end, k0,
                          count};
        const int64_t tiles = p_.panels_outside ? kBlockTiles : tile_end - tile_begin;
        for (int64_t tile = tile_begin; tile < tile_end; tile += tiles)
          Rows(tile, std::min(tile_end, tile + tiles), block, own);
        if (p_.source == SourceB::kPack) Barrier();
      }
    }
  }

 private:
  struct Block {
    int64_t first_panel;  // of the packed block
    int64_t panel_begin, panel_end;
    int64_t k0, count;
  };

  void Barrier() const {
    if (p_.threads > 1) {
#pragma omp barrier
    }
  }

  struct PanelB {
    const float* data;
    int64_t ld;
  };
  PanelB FindPanel(int64_t panel, const Columns& c, const Block& block, const float* tail) const {
    const int64_t width = c.vectors * kLanes;
    if (p_.source == SourceB::kPrepacked) return {g_.b.data + panel * kTileColumns * g_.k + block.k0 * width, width};
    if (p_.source == SourceB::kPack)
      return {packed_b_ + (panel - block.first_panel) * kTileColumns * block.count, width};
    if (c.count == width) return {g_.b.data + block.k0 * g_.b.ld + c.begin, g_.b.ld};
    return {tail, width};  // the ragged last columns must not be read past their end
  }

  struct TileRange {
    int64_t begin;
    int count;
  };

  // Puts the rows of A that a tile multiplies into `to`, unless they are read in place.
  void TileRows(const TileRange& rows, const Block& block, float* scratch, float* to) const {
    const Operand& a = g_.a;
    if (p_.source_a == SourceA::kInPlace) return;
    if (p_.source_a == SourceA::kCopyRows && a.patches != nullptr) {
      CopyPatches(*a.patches, a.data, rows.begin, rows.count, block.k0, block.count, p_.lda, to);
    } else if (p_.source_a == SourceA::kCopyRows) {
      for (int r = 0; r < rows.count; ++r)
        CopyFloats(a.data + (rows.begin + r) * a.ld + block.k0, block.count, to + r * p_.lda);
    } else if (a.patches != nullptr) {
      PackPatchesTransposed<kTileRows>(*a.patches, a.data, rows.begin, rows.count, block.k0, block.count, scratch, to);
    } else {
      PackMatrix<kTileRows>(a, !a.transposed, rows.begin, rows.count, block.k0, block.count, to);
    }
  }

  // Row tiles [tile_begin, tile_end) of C, one block of K and of columns. Tiles have equal heights, or one row less.
  // Usually all panels of B pass by a tile's rows. Where B is read in place, or too wide for L2, it is the rows that
  // pass by a panel, so that each line of B comes from far away once only.
  void Rows(int64_t tile_begin, int64_t tile_end, const Block& block, float* own) const {
    float* const scratch = own + RoundUp(p_.packed_a, 16);
    float* const tail = scratch + RoundUp(2 * p_.run, 16);
    if (p_.tail > 0 && block.panel_end == Panels(g_.n) && block.panel_end > block.panel_begin) {
      const Columns c = PanelColumns(g_.n, block.panel_end - 1);
      PackPanel(g_.b, c.begin, c.count, c.vectors, block.k0, block.count, tail);
    }
    if (p_.panels_outside) {
      for (int64_t tile = tile_begin; tile < tile_end; ++tile)
        TileRows(Range(tile), block, scratch, own + (tile - tile_begin) * p_.tile_floats);
      for (int64_t panel = block.panel_begin; panel < block.panel_end; ++panel)
        for (int64_t tile = tile_begin; tile < tile_end; ++tile)
          MultiplyTile(Range(tile), tile + 1 < tile_end, panel, block, own + (tile - tile_begin) * p_.tile_floats,
                       tail);
      return;
    }
    for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
      const TileRange rows = Range(tile);
      TileRows(rows, block, scratch, own);
      for (int64_t panel = block.panel_begin; panel < block.panel_end; ++panel)
        MultiplyTile(rows, tile + 1 < tile_end, panel, block, own, tail);
    }
  }

  TileRange Range(int64_t tile) const {
    const int64_t tiles = CeilDiv(g_.m, kTileRows), begin = g_.m * tile / tiles;
    return {begin, static_cast<int>(g_.m * (tile + 1) / tiles - begin)};
  }

  // `copy`: the tile's rows as TileRows left them. `more`: this thread has a next tile, whose rows are fetched
  // meanwhile.
  void MultiplyTile(const TileRange& rows, bool more, int64_t panel, const Block& block, const float* copy,
                    const float* tail) const {
    const bool in_place = p_.source_a == SourceA::kInPlace;
    const float* const a = in_place ? g_.a.data + rows.begin * g_.a.ld + block.k0 : copy;
    const bool last = block.k0 + block.count == g_.k;
    const Columns c = PanelColumns(g_.n, panel);
    const PanelB b = FindPanel(panel, c, block, tail);
    const bool fetch_a = more && panel == block.panel_begin && !g_.a.transposed && g_.a.patches == nullptr;
    const WriteBack out{g_.c + rows.begin * g_.ldc + c.begin,
                        g_.ldc,
                        c.count,
                        g_.accumulate || block.k0 > 0,
                        last && g_.bias != nullptr ? g_.bias + c.begin : nullptr,
                        last && g_.activation == Activation::kRelu,
                        fetch_a ? g_.a.data + (rows.begin + rows.count) * g_.a.ld + block.k0 : nullptr,
                        g_.a.ld,
                        p_.source == SourceB::kDirect ? kTileColumns : kFetchAhead / rows.count};
    GetTile(rows.count, c.vectors, p_.source_a != SourceA::kPack)(block.count, a, p_.lda, b.data, b.ld, out);
  }

  const Gemm& g_;
  const Plan p_;
  float* packed_b_;
  float* own_;
};

// Enough for every smaller m and k too: the last batch of an epoch is not full, and its plan may differ.
size_t WorkspaceBytes(const Gemm& g, int threads) {
  if (g.m <= 0 || g.n <= 0 || g.k <= 0) return 0;
  size_t most = 0;
  for (const int64_t m : {g.m, std::min(g.m, kDirectRows), std::min(g.m, kPackedRows)}) {
    Gemm smaller = g;
    smaller.m = m;
    smaller.k = std::min(g.k, kBlockK);  // the deepest block that any smaller k can have
    Plan p = MakePlan(smaller, threads);
    p.threads = threads;
    most = std::max(most, PlanBytes(p));
  }
  return most;
}

void Run(const Gemm& g, const Workspace& ws) {
  if (IsRow(g)) {
    const bool parallel = 2 * g.n * g.k >= kForkFlops;
    const int64_t panels = Panels(g.n), shares = parallel ? std::min<int64_t>(ws.threads, panels) : 1;
    return for_each_index(shares, ws.threads, parallel,
                          [&](int64_t i) { MultiplyRow(g, panels * i / shares, panels * (i + 1) / shares); });
  }
  const Plan plan = MakePlan(g, ws.threads);
  DCHECK(PlanBytes(plan) <= ws.bytes);
  if (plan.threads == 1) return Multiply(g, plan, ws).Run(0);
#pragma omp parallel num_threads(plan.threads)
  {
    // OpenMP may grant fewer threads than asked for (a thread limit, a region inside another): share among those.
    const int granted = omp_get_num_threads();
    Multiply(g, granted == plan.threads ? plan : MakePlan(g, granted), ws).Run(omp_get_thread_num());
  }
}

void PackB(int64_t k, int64_t n, const Operand& b, float* packed) {
  for (int64_t panel = 0; panel < Panels(n); ++panel) {
    const Columns c = PanelColumns(n, panel);
    PackPanel(b, c.begin, c.count, c.vectors, 0, k, packed + panel * kTileColumns * k);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels::native {
HWY_EXPORT(WorkspaceBytes);
HWY_EXPORT(Run);
HWY_EXPORT(PackedFloats);
HWY_EXPORT(PackB);

size_t workspace_bytes(const Gemm& call, int threads) { return HWY_DYNAMIC_DISPATCH(WorkspaceBytes)(call, threads); }
void gemm(const Gemm& call, const Workspace& ws) noexcept { HWY_DYNAMIC_DISPATCH(Run)(call, ws); }
int64_t packed_b_floats(int64_t k, int64_t n) { return HWY_DYNAMIC_DISPATCH(PackedFloats)(k, n); }
void pack_b(int64_t k, int64_t n, const Operand& b, float* packed) noexcept {
  HWY_DYNAMIC_DISPATCH(PackB)(k, n, b, packed);
}
}  // namespace fdi::kernels::native
#endif
