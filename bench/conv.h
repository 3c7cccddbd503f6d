// Benchmark of single convolutions (bias and ReLU included): our fused path, our explicit im2col path, and oneDNN's
// primitive in the layouts that it likes best. Called by `fastdeepiot bench conv`.
#pragma once
#include <vector>

#include "bench/report.h"

namespace fdi::bench {

struct ConvShape {
  int size = 0;  // height = width
  int in_channel = 0, out_channel = 0;
  int kernel = 3, stride = 1;
};

// The distinct layers of VGG-16 on 32x32 images.
std::vector<ConvShape> vgg_conv_shapes();

// JSON: layers [{size, in_channel, out_channel, kernel, stride, gflops, explicit_gflops, rel_mad, peers, ratios}].
Report conv(const std::vector<ConvShape>& shapes, int batch, const device::MeasureOptions& timing);

}  // namespace fdi::bench
