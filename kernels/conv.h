// 2-D convolution on NHWC images as matrix products (kernels/gemm.h). x (batch, in_h, in_w, in_channel),
// weight (kernel_h, kernel_w, in_channel, out_channel), y (batch, out_h, out_w, out_channel).
// kFused reads the patches through an index while packing. kExplicit writes the im2col matrix instead, image by image,
// which is what strided data gradients need, and what comparison and teaching use. kWinograd (kernels/winograd.h)
// trades multiplications for additions; shapes that it cannot serve take kFused. kAuto takes the one expected to be
// fastest.
#pragma once
#include "kernels/gemm.h"

namespace fdi::kernels {

enum class ConvPath { kAuto, kFused, kExplicit, kWinograd };

size_t conv2d_workspace_bytes(const ConvGeometry& g, int batch, ConvPath path, int threads);           // forward
size_t conv2d_backward_workspace_bytes(const ConvGeometry& g, int batch, ConvPath path, int threads);  // both gradients

// y = conv(x, weight) + bias, then activation. `packed_weight` (pack_b of (patch, out_channel)) replaces weight when
// set. bias (out_channel) or null.
void conv2d_forward(const ConvGeometry& g, int batch, const float* x, const float* weight, const float* packed_weight,
                    const float* bias, Activation activation, float* y, ConvPath path, const Workspace& ws) noexcept;
// dx = gradient of x (overwritten).
void conv2d_backward_data(const ConvGeometry& g, int batch, const float* dy, const float* weight, float* dx,
                          ConvPath path, const Workspace& ws) noexcept;
// dweight (patch, out_channel) and dbias (out_channel, or null): overwritten.
void conv2d_backward_weight(const ConvGeometry& g, int batch, const float* x, const float* dy, float* dweight,
                            float* dbias, ConvPath path, const Workspace& ws) noexcept;

// The im2col matrix (out_h * out_w, patch) of one image, and its adjoint (x += scatter of columns).
void im2col(const ConvGeometry& g, const float* x, float* columns) noexcept;
void col2im_add(const ConvGeometry& g, const float* columns, float* x) noexcept;

}  // namespace fdi::kernels
