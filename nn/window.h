// Window: how a kernel slides over an image: the geometry that conv2d and the pools share. An image is
// (height, width, channel); with a leading axis, (step, height, width, channel), the layer works at every step.
#pragma once
#include "kernels/gemm.h"
#include "nn/spec.h"

namespace fdi::nn {

struct Window {
  int steps = 1;                   // images per example
  kernels::ConvGeometry geometry;  // of one image; out_channel = in_channel until the caller sets it
  bool sequence = false;           // rank 4: the output shape has the leading axis
  Shape output(int channels) const;
};

// Throws Error where the shape is no image or the kernel does not fit into it.
Window window(const LayerSpec& layer, const Shape& in);

}  // namespace fdi::nn
