#include "kernels/conv.h"

#include <omp.h>

#include <algorithm>
#include <cstring>

#include "kernels/column_sums.h"
#include "kernels/winograd.h"

namespace fdi::kernels {
namespace {

size_t align(size_t bytes) { return (bytes + 63) / 64 * 64; }

int64_t pixels(const ConvGeometry& g) { return int64_t{g.out_h} * g.out_w; }

// The path that this call takes. OpenBLAS knows nothing of patches.
ConvPath effective(ConvPath path, const ConvGeometry& g, int batch, bool packed = false) {
  if (gemm_provider() == GemmProvider::kOpenBlas || path == ConvPath::kExplicit) return ConvPath::kExplicit;
  if (packed || path == ConvPath::kFused) return ConvPath::kFused;
  if (path == ConvPath::kWinograd) return winograd_tile(g) > 0 ? path : ConvPath::kFused;
  return winograd_pays(g, batch) ? ConvPath::kWinograd : ConvPath::kFused;
}

// A 1x1 convolution of stride 1 reads the image as the matrix that it is.
bool is_matrix(const ConvGeometry& g) {
  return g.kernel_h == 1 && g.kernel_w == 1 && g.stride_h == 1 && g.stride_w == 1 && g.pad_top == 0 &&
         g.pad_left == 0 && g.in_h == g.out_h && g.in_w == g.out_w;
}

Operand patches_of(const ConvGeometry& g, const float* x, bool transposed) {
  if (is_matrix(g)) return {x, g.in_channel, transposed};
  return {x, 0, transposed, &g};
}

Gemm forward_gemm(const ConvGeometry& g, int64_t rows, const Operand& a, const float* weight,
                  const float* packed_weight) {
  Gemm call;
  call.m = rows;
  call.n = call.ldc = g.out_channel;
  call.k = g.patch();
  call.a = a;
  call.b = packed_weight == nullptr ? Operand{weight, g.out_channel} : Operand{.data = packed_weight, .packed = true};
  return call;
}

// dcolumns (rows, patch) = dy (rows, out_channel) * weight^T
Gemm columns_gradient_gemm(const ConvGeometry& g, int64_t rows, const float* dy, const float* weight, float* columns) {
  Gemm call;
  call.m = rows;
  call.n = call.ldc = g.patch();
  call.k = g.out_channel;
  call.a = {dy, g.out_channel};
  call.b = {weight, g.out_channel, true};
  call.c = columns;
  return call;
}

// dweight (patch, out_channel) = columns^T (patch, rows) * dy (rows, out_channel)
Gemm weight_gradient_gemm(const ConvGeometry& g, int64_t rows, const Operand& columns, const float* dy) {
  Gemm call;
  call.m = g.patch();
  call.n = call.ldc = g.out_channel;
  call.k = rows;
  call.a = columns;
  call.b = {dy, g.out_channel};
  return call;
}

// The gradient of a stride-1 convolution's input is itself a convolution: of dy, with the kernel's taps reversed.
bool reversible(const ConvGeometry& g) {
  return g.stride_h == 1 && g.stride_w == 1 && g.pad_top < g.kernel_h && g.pad_left < g.kernel_w;
}

ConvGeometry reversed(const ConvGeometry& g) {
  ConvGeometry r = g;
  r.in_h = g.out_h, r.in_w = g.out_w, r.in_channel = g.out_channel;
  r.out_h = g.in_h, r.out_w = g.in_w, r.out_channel = g.in_channel;
  r.pad_top = g.kernel_h - 1 - g.pad_top;
  r.pad_left = g.kernel_w - 1 - g.pad_left;
  return r;
}

Gemm reversed_gemm(const ConvGeometry& g, const ConvGeometry& r, int batch, const float* dy, const float* weight) {
  const int64_t tap = int64_t{g.in_channel} * g.out_channel;
  Gemm call;
  call.m = batch * pixels(r);
  call.n = call.ldc = g.in_channel;
  call.k = r.patch();
  call.a = patches_of(r, dy, false);
  call.b = {weight == nullptr ? nullptr : weight + (g.kernel_h * g.kernel_w - 1) * tap, g.out_channel, true};
  call.b.group = g.out_channel;
  call.b.group_stride = -tap;
  return call;
}

// The explicit path works image by image: one image per thread where there are enough of them, else all threads on one.
struct PerImage {
  int workers, threads_each;
  size_t columns_bytes, gemm_bytes;
  size_t bytes() const { return workers * (columns_bytes + gemm_bytes); }
};

PerImage per_image(const ConvGeometry& g, int batch, const Gemm& call, int threads) {
  const int workers = batch >= threads ? threads : 1;
  const int each = workers == 1 ? threads : 1;
  return {workers, each, align(static_cast<size_t>(pixels(g)) * g.patch() * sizeof(float)),
          align(gemm_workspace_bytes(call, each))};
}

// work(image, columns, workspace) for every image.
template <class Work>
void for_each_image(const PerImage& p, int batch, const Workspace& ws, const Work& work) {
  const auto share = [&](int worker) {
    std::byte* at = ws.data + worker * (p.columns_bytes + p.gemm_bytes);
    for (int image = worker; image < batch; image += p.workers)
      work(image, reinterpret_cast<float*>(at), Workspace{at + p.columns_bytes, p.gemm_bytes, p.threads_each});
  };
  if (p.workers == 1) return share(0);
#pragma omp parallel num_threads(p.workers)
  for (int worker = omp_get_thread_num(); worker < p.workers; worker += omp_get_num_threads()) share(worker);
}

// What im2col and its adjoint share: run(column, pixel, first, last) for each patch and kernel row. The row's floats
// [first, last) are at columns[column + i] and lie inside the image at x[pixel + i]; the others are padding.
template <class Run>
void for_each_run(const ConvGeometry& g, const Run& run) {
  const int64_t c = g.in_channel;
  for (int oy = 0; oy < g.out_h; ++oy)
    for (int ox = 0; ox < g.out_w; ++ox)
      for (int ky = 0; ky < g.kernel_h; ++ky) {
        const int iy = oy * g.stride_h - g.pad_top + ky, ix = ox * g.stride_w - g.pad_left;
        const bool inside = iy >= 0 && iy < g.in_h;
        const int first = inside ? std::clamp(-ix, 0, g.kernel_w) : 0;
        const int last = inside ? std::clamp(g.in_w - ix, first, g.kernel_w) : 0;
        const int64_t column = ((int64_t{oy} * g.out_w + ox) * g.kernel_h + ky) * g.kernel_w * c;
        run(column, (int64_t{iy} * g.in_w + ix) * c, first * c, last * c);
      }
}

}  // namespace

void im2col(const ConvGeometry& g, const float* x, float* columns) noexcept {
  const int64_t length = int64_t{g.kernel_w} * g.in_channel;
  for_each_run(g, [&](int64_t column, int64_t pixel, int64_t first, int64_t last) {
    float* to = columns + column;
    std::fill_n(to, first, 0.0F);
    if (last > first) std::copy_n(x + pixel + first, last - first, to + first);
    std::fill_n(to + last, length - last, 0.0F);
  });
}

void col2im_add(const ConvGeometry& g, const float* columns, float* x) noexcept {
  for_each_run(g, [&](int64_t column, int64_t pixel, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) x[pixel + i] += columns[column + i];
  });
}

size_t conv2d_workspace_bytes(const ConvGeometry& g, int batch, ConvPath path, int threads) {
  if (effective(path, g, batch) == ConvPath::kExplicit && !is_matrix(g))
    return per_image(g, batch, forward_gemm(g, pixels(g), {nullptr, g.patch()}, nullptr, nullptr), threads).bytes();
  // With and without packed weights the plans differ, and smaller batches may take another path: room for all.
  Gemm call = forward_gemm(g, batch * pixels(g), patches_of(g, nullptr, false), nullptr, nullptr);
  const size_t plain = gemm_workspace_bytes(call, threads);
  call.b.packed = true;
  const size_t fused = std::max(plain, gemm_workspace_bytes(call, threads));
  if (effective(path, g, batch) != ConvPath::kWinograd) return fused;
  return std::max(fused, winograd_workspace_bytes(g, batch, threads));
}

size_t conv2d_backward_workspace_bytes(const ConvGeometry& g, int batch, ConvPath path, int threads) {
  const int64_t rows = pixels(g);
  if (effective(path, g, batch) == ConvPath::kExplicit) {
    const Gemm weight = weight_gradient_gemm(g, rows, {nullptr, g.patch(), true}, nullptr);
    return std::max(per_image(g, 1, weight, threads).bytes(),
                    per_image(g, batch, columns_gradient_gemm(g, rows, nullptr, nullptr, nullptr), threads).bytes());
  }
  size_t bytes =
      gemm_workspace_bytes(weight_gradient_gemm(g, batch * rows, patches_of(g, nullptr, true), nullptr), threads);
  if (!reversible(g))
    return std::max(bytes,
                    per_image(g, batch, columns_gradient_gemm(g, rows, nullptr, nullptr, nullptr), threads).bytes());
  const ConvGeometry r = reversed(g);
  bytes = std::max(bytes, gemm_workspace_bytes(reversed_gemm(g, r, batch, nullptr, nullptr), threads));
  if (effective(path, r, batch) == ConvPath::kWinograd)
    bytes = std::max(bytes, winograd_workspace_bytes(r, batch, threads));
  if (effective(path, g, batch) == ConvPath::kWinograd)
    bytes = std::max(bytes, winograd_backward_weight_workspace_bytes(g, batch, threads));
  return bytes;
}

void conv2d_forward(const ConvGeometry& g, int batch, const float* x, const float* weight, const float* packed_weight,
                    const float* bias, Activation activation, float* y, ConvPath path, const Workspace& ws) noexcept {
  const auto finish = [&](Gemm call, const Operand& a, float* to, const Workspace& workspace) {
    call.a = a;
    call.c = to;
    call.bias = bias;
    call.activation = activation;
    gemm(call, workspace);
  };
  path = effective(path, g, batch, packed_weight != nullptr);
  if (path == ConvPath::kWinograd) return winograd_forward(g, batch, x, weight, false, bias, activation, y, ws);
  if (path == ConvPath::kFused || is_matrix(g)) {
    const Operand a = patches_of(g, x, false);
    return finish(forward_gemm(g, batch * pixels(g), a, weight, packed_weight), a, y, ws);
  }
  const Gemm call = forward_gemm(g, pixels(g), {nullptr, g.patch()}, weight, packed_weight);
  for_each_image(per_image(g, batch, call, ws.threads), batch, ws,
                 [&](int image, float* columns, const Workspace& workspace) {
                   im2col(g, x + image * g.in_size(), columns);
                   finish(call, {columns, g.patch()}, y + image * g.out_size(), workspace);
                 });
}

void conv2d_backward_data(const ConvGeometry& g, int batch, const float* dy, const float* weight, float* dx,
                          ConvPath path, const Workspace& ws) noexcept {
  const ConvGeometry r = reversed(g);
  path = reversible(g) ? effective(path, r, batch) : ConvPath::kExplicit;
  if (path == ConvPath::kWinograd)
    return winograd_forward(r, batch, dy, weight, true, nullptr, Activation::kNone, dx, ws);
  if (path == ConvPath::kFused) {
    Gemm call = reversed_gemm(g, r, batch, dy, weight);
    call.c = dx;
    return gemm(call, ws);
  }
  const Gemm shape = columns_gradient_gemm(g, pixels(g), nullptr, weight, nullptr);
  for_each_image(per_image(g, batch, shape, ws.threads), batch, ws,
                 [&](int image, float* columns, const Workspace& workspace) {
                   float* to = dx + image * g.in_size();
                   gemm(columns_gradient_gemm(g, pixels(g), dy + image * g.out_size(), weight, columns), workspace);
                   std::fill_n(to, g.in_size(), 0.0F);
                   col2im_add(g, columns, to);
                 });
}

void conv2d_backward_weight(const ConvGeometry& g, int batch, const float* x, const float* dy, float* dweight,
                            float* dbias, ConvPath path, const Workspace& ws) noexcept {
  if (dbias != nullptr) column_sums(batch * pixels(g), g.out_channel, dy, dbias, ws.threads);
  path = effective(path, g, batch);
  if (path == ConvPath::kWinograd) return winograd_backward_weight(g, batch, x, dy, dweight, ws);
  if (path == ConvPath::kFused) {
    Gemm call = weight_gradient_gemm(g, batch * pixels(g), patches_of(g, x, true), dy);
    call.c = dweight;
    return gemm(call, ws);
  }
  Gemm call = weight_gradient_gemm(g, pixels(g), {nullptr, g.patch(), true}, dy);
  const PerImage p = per_image(g, 1, call, ws.threads);
  auto* columns = reinterpret_cast<float*>(ws.data);
  call.a.data = columns;
  call.c = dweight;
  for (int image = 0; image < batch; ++image) {
    im2col(g, x + image * g.in_size(), columns);
    call.b.data = dy + image * g.out_size();
    call.accumulate = image > 0;
    gemm(call, {ws.data + p.columns_bytes, p.gemm_bytes, ws.threads});
  }
}

}  // namespace fdi::kernels
