// Batch normalisation over the last axis of x (rows, channel): y = (x - mean) * gamma / sqrt(var + epsilon) + beta,
// then max(0, .) with relu. Called by the batch_norm layer. Bandwidth bound: forward reads x twice and writes y once;
// backward reads x and dy twice and writes dx once, the ReLU's mask being computed again from x instead of read.
// Sums run over blocks of 128 rows, which are combined in order and in double: the same for any number of threads.
#pragma once
#include "kernels/gemm.h"

namespace fdi::kernels {

struct BatchNorm {
  int64_t rows = 0;
  int channel = 0;
  float epsilon = 1e-5F;
  bool relu = false;
  const float* gamma = nullptr;  // (channel)
  const float* beta = nullptr;   // (channel)
  float* mean = nullptr;         // (channel) of the batch: written by forward, read by backward
  float* inv_std = nullptr;      // (channel) 1 / sqrt(biased variance + epsilon)
};

size_t batch_norm_workspace_bytes(int64_t rows, int channel);

// Also running = (1 - momentum) * running + momentum * batch, with the unbiased variance as PyTorch does.
void batch_norm_forward(const BatchNorm& bn, float momentum, const float* x, float* y, float* running_mean,
                        float* running_var, const Workspace& workspace) noexcept;
// dx overwritten, or null; may be dy. dgamma, dbeta (channel) overwritten.
void batch_norm_backward(const BatchNorm& bn, const float* x, const float* dy, float* dx, float* dgamma, float* dbeta,
                         const Workspace& workspace) noexcept;

// Inference: y = x * scale + shift [then max(0, .)], with scale and shift from the running statistics.
void batch_norm_fold(int channel, float epsilon, const float* gamma, const float* beta, const float* running_mean,
                     const float* running_var, float* scale, float* shift) noexcept;
void batch_norm_inference(int64_t rows, int channel, const float* scale, const float* shift, bool relu, const float* x,
                          float* y, int threads) noexcept;

}  // namespace fdi::kernels
