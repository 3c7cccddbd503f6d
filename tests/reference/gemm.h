// Naive twins of the GEMM and convolution kernels, in double precision. The tests hold every target against them.
#pragma once
#include <vector>

#include "kernels/conv.h"
#include "kernels/gemm.h"

namespace fdi::reference {

// Same contract as kernels::gemm; reads patches through the written-out im2col matrix.
void gemm(const kernels::Gemm& call);
void im2col(const kernels::ConvGeometry& g, int batch, const float* x, std::vector<float>& columns);
void conv2d(const kernels::ConvGeometry& g, int batch, const float* x, const float* weight, const float* bias,
            float* y);
// dx, dweight (and dbias unless null) are overwritten.
void conv2d_backward(const kernels::ConvGeometry& g, int batch, const float* x, const float* weight, const float* dy,
                     float* dx, float* dweight, float* dbias);

}  // namespace fdi::reference
