// Naive twin of kernels/pool: every window pixel is asked whether it lies in the image; sums in double.
#pragma once
#include <vector>

#include "kernels/gemm.h"

namespace fdi::reference {

std::vector<double> max_pool(const kernels::ConvGeometry& g, int batch, const std::vector<float>& x);
std::vector<double> max_pool_gradient(const kernels::ConvGeometry& g, int batch, const std::vector<float>& x,
                                      const std::vector<float>& dy);
std::vector<double> avg_pool(const kernels::ConvGeometry& g, int batch, const std::vector<float>& x);
std::vector<double> avg_pool_gradient(const kernels::ConvGeometry& g, int batch, const std::vector<float>& dy);

}  // namespace fdi::reference
