// See recurrent.h. One gemm for the input's part of all steps, one gemm per step on weights packed once per network or,
// in training, per pass. A little past 300 lines because all descriptions of the products stand together at the end.
#include "nn/recurrent.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/column_sums.h"

namespace fdi::nn {
namespace {

using kernels::Gemm;
using kernels::Rows;

constexpr int64_t round_up(int64_t floats) { return (floats + 15) / 16 * 16; }  // whole cache lines

// Hands out pieces of a block, or, with a null base, only adds up how much that would be.
struct Cutter {
  float* base = nullptr;
  int64_t used = 0;
  float* take(int64_t floats) {
    float* piece = base == nullptr ? nullptr : base + used;
    used += round_up(floats);
    return piece;
  }
};

}  // namespace

Shape recurrent_shape(const LayerSpec& layer, std::span<const Shape> in) {
  if (in[0].rank != 2)
    core::fail("{} got {}, want a sequence (time, feature); put a reshape before it", describe(layer),
               core::to_string(in[0]));
  return {in[0][0], layer.attr.units};
}

std::vector<ParameterSpec> recurrent_parameters(const LayerSpec& layer, const Shape& in, int gates, bool second_bias) {
  const int units = layer.attr.units;
  const auto columns = static_cast<int>(std::min<int64_t>(int64_t{gates} * units, INT32_MAX));
  const auto parameter = [&](const char* name, const Shape& shape) {
    return ParameterSpec{name, shape, Init::kUniform, units};
  };
  std::vector<ParameterSpec> out{parameter("input_weight", {in.back(), columns}),
                                 parameter("hidden_weight", {units, columns}), parameter("bias", {columns})};
  if (second_bias) out.push_back(parameter("bias_hidden", {columns}));
  return out;
}

int64_t recurrent_flops(const LayerSpec& layer, const Shape& in, int gates) {
  return int64_t{2} * in[0] * gates * layer.attr.units * (int64_t{in[1]} + layer.attr.units);
}

Recurrent::Recurrent(const LayerSpec& layer, const Shape& in, const Kind& kind)
    : time_(in[0]), in_(in[1]), units_(layer.attr.units), columns_(kind.gates * units_), kind_(kind) {}

void Recurrent::bind(std::span<const Tensor> values, std::span<const Tensor> grads) {
  input_weight_ = values[0].data;
  hidden_weight_ = values[1].data;
  bias_ = values[2].data;
  if (kind_.second_bias) bias_hidden_ = values[3].data;
  if (grads.empty()) return;
  dinput_weight_ = grads[0].data;
  dhidden_weight_ = grads[1].data;
  dbias_ = grads[2].data;
  if (kind_.second_bias) dbias_hidden_ = grads[3].data;
}

// Packed: panels of input_weight, of each part of hidden_weight, bias, bias_hidden.
int64_t Recurrent::packed_floats() const {
  int64_t floats = round_up(kernels::packed_b_floats(in_, columns_)) + round_up(columns_);
  for (int i = 0; i < parts(); ++i) floats += round_up(kernels::packed_b_floats(units_, part(i).columns));
  return floats + (kind_.second_bias ? round_up(columns_) : 0);
}

void Recurrent::pack(std::span<const Tensor> values, float* packed) {
  Cutter cut{packed};
  float* input = cut.take(kernels::packed_b_floats(in_, columns_));
  kernels::pack_b(in_, columns_, {.data = values[0].data, .ld = columns_}, input);
  packed_input_ = input;
  for (int i = 0; i < parts(); ++i) {
    const Part p = part(i);
    float* hidden = cut.take(kernels::packed_b_floats(units_, p.columns));
    kernels::pack_b(units_, p.columns, {.data = values[1].data + p.first, .ld = columns_}, hidden);
    packed_hidden_[i] = hidden;
  }
  bias_ = std::copy_n(values[2].data, columns_, cut.take(columns_)) - columns_;
  if (kind_.second_bias) bias_hidden_ = std::copy_n(values[3].data, columns_, cut.take(columns_)) - columns_;
}

int64_t Recurrent::state_floats(int batch) const {
  const int64_t per_step = int64_t{batch} * units_;
  return per_step * time_ * 5 + (kind_.cell ? per_step * (time_ + 1) : 0);
}

Recurrent::Run Recurrent::cut(float* base, int batch, bool training, bool backward, int64_t* used) const noexcept {
  Cutter cutter{base};
  const int64_t wide = int64_t{batch} * columns_, narrow = int64_t{batch} * units_;
  Run run;
  run.batch = batch;
  run.h = cutter.take(narrow);
  if (backward) {
    run.dgx = cutter.take(wide * time_);
    run.dgh = kind_.second_bias ? cutter.take(wide * time_) : run.dgx;
    run.dh = cutter.take(narrow);
    if (kind_.cell) run.dc = cutter.take(narrow);
    if (kind_.split_product) run.dq = cutter.take(narrow);
  } else {
    run.gx = cutter.take(wide * time_);
    run.gh = cutter.take(wide);
    if (!training) {
      run.gates = cutter.take(4 * narrow);
      if (kind_.cell) run.c = cutter.take(narrow);
    }
  }
  if (training || backward)
    for (int i = 0; i < parts(); ++i)
      run.panels[i] = cutter.take(backward ? kernels::packed_b_floats(part(i).columns, units_)
                                           : kernels::packed_b_floats(units_, part(i).columns));
  *used = cutter.used;
  return run;
}

Recurrent::Run Recurrent::cut(const kernels::Workspace& ws, int batch, bool backward) const noexcept {
  int64_t used = 0;
  Run run = cut(reinterpret_cast<float*>(ws.data), batch, state_ != nullptr, backward, &used);
  const size_t bytes = static_cast<size_t>(used) * sizeof(float);
  run.gemm = {ws.data + bytes, ws.bytes - bytes, ws.threads};
  return run;
}

size_t Recurrent::workspace_bytes(int batch, int threads, bool training) const {
  const int64_t rows = int64_t{batch} * time_;
  size_t most = 0;
  for (const bool backward : {false, true}) {
    if (backward && !training) continue;
    int64_t used = 0;
    const Run run = cut(nullptr, batch, training, backward, &used);
    size_t gemm = 0;
    const auto consider = [&](const Gemm& call) {
      gemm = std::max(gemm, kernels::gemm_workspace_bytes(call, threads));
    };
    Gemm input = input_call(rows, nullptr, nullptr);
    input.b.packed = !training;  // also where this is asked for before pack()
    if (!backward) consider(input);
    if (backward) consider(input_weight_call(rows, nullptr, nullptr));
    if (backward) consider(input_gradient_call(rows, nullptr, nullptr));
    for (int i = 0; i < parts(); ++i) {
      if (!backward) consider(product_call(run, i, {}, {}));
      if (backward) consider(product_gradient_call(run, i, {}, {}, true));
      if (backward) consider(hidden_weight_call(rows, i, {}, {}));
    }
    most = std::max(most, static_cast<size_t>(used) * sizeof(float) + gemm);
  }
  return most;
}

kernels::RnnStep Recurrent::step_at(const Pass& pass, const Run& run, int t, float* y) const noexcept {
  const bool training = state_ != nullptr;
  const int64_t u = units_, line = time_ * u, cell_line = line + u;
  kernels::RnnStep s{.batch = run.batch,
                     .units = units_,
                     .step = t,
                     .lengths = pass.lengths.empty() ? nullptr : pass.lengths.data(),
                     .threads = run.gemm.threads,
                     .gx = {run.gx == nullptr ? nullptr : run.gx + int64_t{t} * columns_, int64_t{time_} * columns_},
                     .gh = {run.gh, columns_},
                     .gates = {run.gates, 4 * u},
                     .h_prev = {run.h, u},
                     .h_next = {run.h, u},
                     .c_prev = {run.c, u},
                     .c_next = {run.c, u},
                     .y = {y + t * u, line}};
  if (!training) return s;
  float* h = state_h(run.batch) + t * u;
  float* c = state_c(run.batch) + t * u;
  s.gates = {state_ + int64_t{4} * t * u, 4 * line};
  s.h_prev = {h, line};
  if (t + 1 < time_) s.h_next = {h + u, line};  // the last one goes to run.h, where nobody reads it
  s.c_prev = {c, cell_line};
  s.c_next = {c + u, cell_line};
  return s;
}

void Recurrent::forward(const Pass& pass, std::span<const Tensor> x, Tensor y) noexcept {
  const Run run = cut(pass.workspace, pass.batch, false);
  kernels::gemm(input_call(int64_t{run.batch} * time_, x[0].data, run.gx), run.gemm);
  for (int i = 0; i < parts(); ++i)
    if (run.panels[i] != nullptr)
      kernels::pack_b(units_, part(i).columns, {.data = hidden_weight_ + part(i).first, .ld = columns_}, run.panels[i]);
  const kernels::RnnStep first = step_at(pass, run, 0, y.data);
  for (int b = 0; b < run.batch; ++b) {
    std::fill_n(first.h_prev[b], units_, 0.0F);
    if (kind_.cell) std::fill_n(first.c_prev[b], units_, 0.0F);
  }
  for (int t = 0; t < time_; ++t) {
    const kernels::RnnStep step = step_at(pass, run, t, y.data);
    step_forward(run, step);
    mask(pass, step.h_next);
    mask(pass, step.y);
  }
}

void Recurrent::mask(const Pass& pass, Rows rows) const noexcept {
  if (const float* factor = pass.mask(); factor != nullptr)
    for (int b = 0; b < pass.batch; ++b)
      for (int64_t u = 0; u < units_; ++u) rows[b][u] *= factor[b * int64_t{units_} + u];
}

void Recurrent::backward(const Pass& pass, std::span<const Tensor> x, Tensor y, Tensor dy,
                         std::span<const Tensor> dx) noexcept {
  const Run run = cut(pass.workspace, pass.batch, true);
  const int64_t rows = int64_t{run.batch} * time_, u = units_, line = time_ * u, wide = int64_t{time_} * columns_;
  for (int i = 0; i < parts(); ++i)
    kernels::pack_b(part(i).columns, units_,
                    {.data = hidden_weight_ + part(i).first, .ld = columns_, .transposed = true}, run.panels[i]);
  std::fill_n(run.dh, run.batch * u, 0.0F);
  if (kind_.cell) std::fill_n(run.dc, run.batch * u, 0.0F);
  for (int t = time_ - 1; t >= 0; --t) {
    const kernels::RnnStepGradient grad{.dy = {dy.data + t * u, line},
                                        .dh = {run.dh, u},
                                        .dc = {run.dc, u},
                                        .dgx = {run.dgx + int64_t{t} * columns_, wide},
                                        .dgh = {run.dgh + int64_t{t} * columns_, wide},
                                        .dq = {run.dq, u}};
    mask(pass, {dy.data + t * u, line});
    mask(pass, grad.dh);
    step_backward(run, step_at(pass, run, t, y.data), grad);
  }
  kernels::gemm(input_weight_call(rows, x[0].data, run.dgx), run.gemm);
  for (int i = 0; i < parts(); ++i) {
    // What the part was multiplied with: h before the step, or q, the last block of the gates.
    const Rows from = i == 0 ? Rows{state_h(run.batch), u} : Rows{state_ + 3 * u, 4 * u};
    kernels::gemm(hidden_weight_call(rows, i, from, {run.dgh + part(i).first, columns_}), run.gemm);
  }
  const int threads = pass.workspace.threads;
  kernels::column_sums(rows, columns_, run.dgx, dbias_, threads);
  if (kind_.second_bias) kernels::column_sums(rows, columns_, run.dgh, dbias_hidden_, threads);
  if (dx[0].data != nullptr) kernels::gemm(input_gradient_call(rows, run.dgx, dx[0].data), run.gemm);
}

void Recurrent::product(const Run& run, int index, Rows from, const kernels::RnnStep& step) noexcept {
  kernels::gemm(product_call(run, index, from, {step.gh.data + part(index).first, step.gh.ld}), run.gemm);
}

void Recurrent::product_backward(const Run& run, int index, Rows grad, Rows to, bool accumulate) noexcept {
  const Rows columns{grad.data + part(index).first, grad.ld};
  kernels::gemm(product_gradient_call(run, index, columns, to, accumulate), run.gemm);
}

// gx (rows, columns) = x (rows, in) input_weight + bias
Gemm Recurrent::input_call(int64_t rows, const float* x, float* gx) const noexcept {
  return {.m = rows,
          .n = columns_,
          .k = in_,
          .a = {.data = x, .ld = in_},
          .b = packed_input_ == nullptr ? kernels::Operand{.data = input_weight_, .ld = columns_}
                                        : kernels::Operand{.data = packed_input_, .packed = true},
          .c = gx,
          .ldc = columns_,
          .bias = bias_};
}
Gemm Recurrent::input_gradient_call(int64_t rows, const float* dgx, float* dx) const noexcept {
  return {.m = rows,
          .n = in_,
          .k = columns_,
          .a = {.data = dgx, .ld = columns_},
          .b = {.data = input_weight_, .ld = columns_, .transposed = true},
          .c = dx,
          .ldc = in_};
}
Gemm Recurrent::input_weight_call(int64_t rows, const float* x, const float* dgx) const noexcept {
  return {.m = in_,
          .n = columns_,
          .k = rows,
          .a = {.data = x, .ld = in_, .transposed = true},
          .b = {.data = dgx, .ld = columns_},
          .c = dinput_weight_,
          .ldc = columns_};
}
Gemm Recurrent::product_call(const Run& run, int index, Rows from, Rows to) const noexcept {
  const Part p = part(index);
  return {.m = run.batch,
          .n = p.columns,
          .k = units_,
          .a = {.data = from.data, .ld = from.ld},
          .b = {.data = run.panels[index] != nullptr ? run.panels[index] : packed_hidden_[index], .packed = true},
          .c = to.data,
          .ldc = to.ld,
          .bias = bias_hidden_ == nullptr ? nullptr : bias_hidden_ + p.first};
}
Gemm Recurrent::product_gradient_call(const Run& run, int index, Rows grad, Rows to, bool accumulate) const noexcept {
  const Part p = part(index);
  return {.m = run.batch,
          .n = units_,
          .k = p.columns,
          .a = {.data = grad.data, .ld = grad.ld},
          .b = {.data = run.panels[index], .packed = true},
          .c = to.data,
          .ldc = to.ld,
          .accumulate = accumulate};
}
Gemm Recurrent::hidden_weight_call(int64_t rows, int index, Rows from, Rows grad) const noexcept {
  const Part p = part(index);
  return {.m = units_,
          .n = p.columns,
          .k = rows,
          .a = {.data = from.data, .ld = from.ld, .transposed = true},
          .b = {.data = grad.data, .ld = grad.ld},
          .c = dhidden_weight_ + p.first,
          .ldc = columns_};
}

}  // namespace fdi::nn
