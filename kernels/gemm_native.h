// The native provider behind kernels/gemm.h; called by gemm.cc only.
#pragma once
#include "core/check.h"
#include "kernels/gemm.h"

namespace fdi::kernels::native {
size_t workspace_bytes(const Gemm& call, int threads);  // m, n, k > 0
void gemm(const Gemm& call, const Workspace& ws) noexcept;
int64_t packed_b_floats(int64_t k, int64_t n);
void pack_b(int64_t k, int64_t n, const Operand& b, float* packed) noexcept;
}  // namespace fdi::kernels::native
