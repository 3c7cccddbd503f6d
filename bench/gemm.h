// Benchmark of matrix products, ours and the peers' in turn on the same operands. Called by `fastdeepiot bench gemm`.
#pragma once
#include <cstdint>
#include <vector>

#include "bench/report.h"

namespace fdi::bench {

// A convolution's product as the literature lists it: m output channels, n pixels, k patch values. With NHWC images it
// is run as C (n pixels, m channels) = A (n, k) B (k, m), and the peers multiply the very same matrices.
struct GemmShape {
  int64_t m = 0, n = 0, k = 0;
};

// The layers of VGG-16 on 32x32 images, the same on a batch of 32, and 2048^3.
std::vector<GemmShape> vgg_gemm_shapes();

// JSON: shapes [{m, n, k, gflops, packed_gflops, rel_mad, peers {name: gflops}, ratios {name: x}}], summary
// {name: {geometric_mean, minimum}} of the ratios. `packed_gflops`: B packed beforehand, as inference has it.
// `gflops` pay for the packing of both, as the peers' do.
Report gemm(const std::vector<GemmShape>& shapes, const device::MeasureOptions& timing);

}  // namespace fdi::bench
