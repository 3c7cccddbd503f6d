// 3x3 convolutions of stride 1 by Winograd's minimal filtering (Lavin & Gray 2016): F(4x4, 3x3) needs a quarter of the
// multiplications of the direct product, F(2x2, 3x3) 4/9. Behind kernels/conv.h; worth it where channels and pixels are
// many (training, batches). Rounding errors are about 10 times those of the direct path.
#pragma once
#include "kernels/gemm.h"

namespace fdi::kernels {

// 4 or 2: the output tile with the fewest multiplications for this image size; 0: the shape cannot use it.
int winograd_tile(const ConvGeometry& g);
// Whether it is expected to be faster than the direct path, for this many images.
bool winograd_pays(const ConvGeometry& g, int batch);

size_t winograd_workspace_bytes(const ConvGeometry& g, int batch, int threads);
// y = conv(x, weight) + bias, then activation. `weight` (3, 3, in_channel, out_channel); with `reversed_weight` it is
// the weight (3, 3, out_channel, in_channel) of the convolution whose data gradient this is: taps backwards,
// transposed.
void winograd_forward(const ConvGeometry& g, int batch, const float* x, const float* weight, bool reversed_weight,
                      const float* bias, Activation activation, float* y, const Workspace& ws) noexcept;

size_t winograd_backward_weight_workspace_bytes(const ConvGeometry& g, int batch, int threads);
void winograd_backward_weight(const ConvGeometry& g, int batch, const float* x, const float* dy, float* dweight,
                              const Workspace& ws) noexcept;

}  // namespace fdi::kernels
