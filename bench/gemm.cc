#include "bench/gemm.h"

#include <fmt/core.h>

#include <functional>
#include <map>
#include <span>

#include "bench/peers.h"
#include "core/arena.h"
#include "core/rng.h"
#include "core/threads.h"
#include "kernels/gemm.h"

namespace fdi::bench {
namespace {

std::span<float> random_matrix(core::Arena& arena, int64_t rows, int64_t columns, int stream) {
  core::Rng rng(1, core::Stream::kTest, stream);
  const std::span<float> values(arena.floats(rows * columns), static_cast<size_t>(rows * columns));
  for (float& v : values) v = rng.uniform(-1, 1);
  return values;
}

struct Result {
  device::Timing ours, packed;
  std::map<std::string, device::Timing> peers;
};

Result run(const GemmShape& shape, const device::MeasureOptions& timing) {
  const int64_t rows = shape.n, columns = shape.m, k = shape.k;
  using core::Arena;
  kernels::Gemm call;
  call.m = rows;
  call.n = columns;
  call.k = k;
  call.ldc = columns;
  const int64_t packed_floats = kernels::packed_b_floats(k, columns);
  const size_t workspace_bytes = kernels::gemm_workspace_bytes(call, core::threads());
  Arena arena(Arena::padded_bytes(rows * k) + Arena::padded_bytes(k * columns) +
              2 * Arena::padded_bytes(rows * columns) + Arena::padded_bytes(packed_floats));
  Arena scratch(workspace_bytes + Arena::kAlignment);
  const std::span<float> a = random_matrix(arena, rows, k, 0), b = random_matrix(arena, k, columns, 1);
  const std::span<float> c(arena.floats(rows * columns), static_cast<size_t>(rows * columns));
  const std::span<float> peer_c(arena.floats(rows * columns), c.size());
  float* packed = arena.floats(packed_floats);

  call.a = {.data = a.data(), .ld = k};
  call.b = {.data = b.data(), .ld = columns};
  call.c = c.data();
  kernels::pack_b(k, columns, call.b, packed);
  kernels::Gemm packed_call = call;
  packed_call.b = {.data = packed, .packed = true};
  const kernels::Workspace workspace{reinterpret_cast<std::byte*>(scratch.floats(0)), workspace_bytes, core::threads()};

  std::vector<std::function<void()>> contenders = {[&] { kernels::gemm(call, workspace); },
                                                   [&] { kernels::gemm(packed_call, workspace); }};
  kernels::gemm(call, workspace);
  for (const GemmPeer& peer : gemm_peers()) {
    contenders.emplace_back([&] { peer.multiply(rows, columns, k, a.data(), b.data(), peer_c.data()); });
    contenders.back()();
    expect_equal(c, peer_c, 4e-6F * static_cast<float>(k), "bench gemm, " + peer.name);  // sums of k products below 1
  }
  const std::vector<device::Timing> timings = device::measure_interleaved(contenders, timing);
  Result result{timings[0], timings[1], {}};
  for (size_t i = 0; i < gemm_peers().size(); ++i) result.peers[gemm_peers()[i].name] = timings[2 + i];
  return result;
}

}  // namespace

std::vector<GemmShape> vgg_gemm_shapes() {
  std::vector<GemmShape> shapes = {{64, 1024, 27},  {64, 1024, 576}, {128, 256, 576}, {128, 256, 1152}, {256, 64, 1152},
                                   {256, 64, 2304}, {512, 16, 2304}, {512, 16, 4608}, {512, 4, 4608}};
  const size_t layers = shapes.size();
  for (size_t i = 0; i < layers; ++i) shapes.push_back({shapes[i].m, shapes[i].n * 32, shapes[i].k});
  shapes.push_back({2048, 2048, 2048});
  return shapes;
}

Report gemm(const std::vector<GemmShape>& shapes, const device::MeasureOptions& timing) {
  Report report;
  report.json = {{"conditions", conditions()}, {"shapes", nlohmann::json::array()}};
  report.text = conditions_line() + fmt::format("{:>6} {:>6} {:>6} {:>9} {:>9}", "M", "N", "K", "GFLOP/s", "packed");
  for (const GemmPeer& peer : gemm_peers()) report.text += fmt::format(" {:>9} {:>6}", peer.name, "ratio");
  report.text += "  spread\n";

  std::map<std::string, std::vector<double>> ratios;
  for (const GemmShape& shape : shapes) {
    const Result result = run(shape, timing);
    const double flops =
        2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
    const auto gflops = [&](const device::Timing& t) { return flops / t.median_us / 1e3; };
    nlohmann::json row = {{"m", shape.m},
                          {"n", shape.n},
                          {"k", shape.k},
                          {"gflops", gflops(result.ours)},
                          {"packed_gflops", gflops(result.packed)},
                          {"rel_mad", result.ours.rel_mad},
                          {"peers", nlohmann::json::object()},
                          {"ratios", nlohmann::json::object()}};
    report.text += fmt::format("{:>6} {:>6} {:>6} {:>9.1f} {:>9.1f}", shape.m, shape.n, shape.k, gflops(result.ours),
                               gflops(result.packed));
    for (const GemmPeer& peer : gemm_peers()) {
      const double theirs = gflops(result.peers.at(peer.name));
      const double ratio = gflops(result.ours) / theirs;
      row["peers"][peer.name] = theirs;
      row["ratios"][peer.name] = ratio;
      ratios[peer.name].push_back(ratio);
      report.text += fmt::format(" {:>9.1f} {:>6.2f}", theirs, ratio);
    }
    report.text += fmt::format("  {:.1f}%\n", 100 * result.ours.rel_mad);
    report.json["shapes"].push_back(std::move(row));
  }
  report.json["summary"] = nlohmann::json::object();
  for (const auto& [name, values] : ratios) {
    const Ratios summary = summarize_ratios(values);
    report.json["summary"][name] = {{"geometric_mean", summary.geometric_mean}, {"minimum", summary.minimum}};
    report.text += fmt::format("against {}: geometric mean {:.3f}, minimum {:.3f}\n", name, summary.geometric_mean,
                               summary.minimum);
  }
  return report;
}

}  // namespace fdi::bench
