// Matrix multiplication C = A B on packed, cache-blocked, register-tiled panels (Goto & van de Geijn 2008; BLIS).
// Called by every convolution, fully connected and recurrent layer; fp32, row-major.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fdi::kernels {

enum class GemmProvider { kNative, kOpenBlas };
void set_gemm_provider(GemmProvider provider);  // throws Error where OpenBLAS was not built in or cannot be loaded
GemmProvider gemm_provider();

enum class Activation { kNone, kRelu };  // what the write-back of C may apply

// Scratch memory for one call, and how many threads share the call. The caller plans `bytes` with *_workspace_bytes.
struct Workspace {
  std::byte* data = nullptr;  // 64-byte aligned
  size_t bytes = 0;
  int threads = 1;
};

// How a convolution walks over a batch of NHWC images: patch row (image, oy, ox), patch column (ky, kx, channel).
// A negative pad is not allowed; positions outside the image read as 0.
struct ConvGeometry {
  int in_h = 0, in_w = 0, in_channel = 0;
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int pad_top = 0, pad_left = 0;
  int out_h = 0, out_w = 0, out_channel = 0;
  int64_t in_size() const { return int64_t{in_h} * in_w * in_channel; }      // of one image
  int64_t out_size() const { return int64_t{out_h} * out_w * out_channel; }  // of one image
  int patch() const { return kernel_h * kernel_w * in_channel; }             // im2col's row length
};

// One factor of a product. Element (i, j) of the matrix is data[i * ld + j], or data[j * ld + i] where transposed.
// With `patches`, the matrix is the im2col matrix (batch * out_h * out_w, patch) of the images at `data`, read through
// its index while packing and never written; `transposed` then means its transpose. With `group` > 0 (b, transposed),
// the rows of the factor come in groups: element (g * group + i, j) is data[g * group_stride + j * ld + i]; a data
// gradient reads a kernel's taps backwards this way. With `packed` (b), `data` is what pack_b() wrote, for weights that
// are used many times, and the other fields are not read.
struct Operand {
  const float* data = nullptr;
  int64_t ld = 0;
  bool transposed = false;
  const ConvGeometry* patches = nullptr;
  int64_t group = 0, group_stride = 0;
  bool packed = false;
};

// c (m, n) = [c +] a (m, k) * b (k, n) [+ bias (n)] [then activation]
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  Operand a;  // may be patches
  Operand b;  // may be packed
  float* c = nullptr;
  int64_t ldc = 0;
  bool accumulate = false;
  const float* bias = nullptr;
  Activation activation = Activation::kNone;
};

// Scratch that gemm() needs for this problem on `threads` threads, by sizes and flags and a.patches: the matrices and
// the bias need not be there yet.
size_t gemm_workspace_bytes(const Gemm& call, int threads);
// k = 0 is allowed (C becomes 0, the bias, or stays); m = 0 or n = 0 does nothing. The result does not depend on the
// number of threads.
void gemm(const Gemm& call, const Workspace& workspace) noexcept;

// B packed once for many products: ceil(n / vector) panels of k rows. Depends on the ISA in force.
int64_t packed_b_floats(int64_t k, int64_t n);
void pack_b(int64_t k, int64_t n, const Operand& b, float* packed) noexcept;

}  // namespace fdi::kernels
