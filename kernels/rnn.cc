// See rnn.h. All element functions of a gate run in one pass, so that a step reads and writes each array once.
#include "kernels/rnn.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rnn.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

// Each function: one example, one step.

void gru_after_row(const RnnStep& s, int64_t b) {
  const int64_t u = s.units;
  const float *gx = s.gx[b], *gh = s.gh[b], *h = s.h_prev[b];
  float *gates = s.gates[b], *next = s.h_next[b], *y = s.y[b];
  for_lanes(u, [=](auto d, int64_t i) HWY_ATTR {
    const auto r = sigmoid(d, hn::Add(hn::LoadU(d, gx + i), hn::LoadU(d, gh + i)));
    const auto z = sigmoid(d, hn::Add(hn::LoadU(d, gx + u + i), hn::LoadU(d, gh + u + i)));
    const auto q = hn::LoadU(d, gh + 2 * u + i);
    const auto n = tanh(d, hn::MulAdd(r, q, hn::LoadU(d, gx + 2 * u + i)));
    const auto out = hn::MulAdd(z, hn::Sub(hn::LoadU(d, h + i), n), n);
    hn::StoreU(r, d, gates + i);
    hn::StoreU(z, d, gates + u + i);
    hn::StoreU(n, d, gates + 2 * u + i);
    hn::StoreU(q, d, gates + 3 * u + i);
    hn::StoreU(out, d, next + i);
    hn::StoreU(out, d, y + i);
  });
}

void gru_reset_row(const RnnStep& s, int64_t b) {
  const int64_t u = s.units;
  const float *gx = s.gx[b], *gh = s.gh[b], *h = s.h_prev[b];
  float* gates = s.gates[b];
  for_lanes(u, [=](auto d, int64_t i) HWY_ATTR {
    const auto r = sigmoid(d, hn::Add(hn::LoadU(d, gx + i), hn::LoadU(d, gh + i)));
    const auto z = sigmoid(d, hn::Add(hn::LoadU(d, gx + u + i), hn::LoadU(d, gh + u + i)));
    hn::StoreU(r, d, gates + i);
    hn::StoreU(z, d, gates + u + i);
    hn::StoreU(hn::Mul(r, hn::LoadU(d, h + i)), d, gates + 3 * u + i);
  });
}

void gru_update_row(const RnnStep& s, int64_t b) {
  const int64_t u = s.units;
  const float *gx = s.gx[b] + 2 * u, *gh = s.gh[b] + 2 * u, *h = s.h_prev[b];
  float *gates = s.gates[b], *next = s.h_next[b], *y = s.y[b];
  for_lanes(u, [=](auto d, int64_t i) HWY_ATTR {
    const auto n = tanh(d, hn::Add(hn::LoadU(d, gx + i), hn::LoadU(d, gh + i)));
    const auto out = hn::MulAdd(hn::LoadU(d, gates + u + i), hn::Sub(hn::LoadU(d, h + i), n), n);
    hn::StoreU(n, d, gates + 2 * u + i);
    hn::StoreU(out, d, next + i);
    hn::StoreU(out, d, y + i);
  });
}

void lstm_row(const RnnStep& s, int64_t b) {
  const int64_t u = s.units;
  const float *gx = s.gx[b], *gh = s.gh[b], *c = s.c_prev[b];
  float *gates = s.gates[b], *next = s.h_next[b], *y = s.y[b], *c_next = s.c_next[b];
  for_lanes(u, [=](auto d, int64_t j) HWY_ATTR {
    const auto i = sigmoid(d, hn::Add(hn::LoadU(d, gx + j), hn::LoadU(d, gh + j)));
    const auto f = sigmoid(d, hn::Add(hn::LoadU(d, gx + u + j), hn::LoadU(d, gh + u + j)));
    const auto g = tanh(d, hn::Add(hn::LoadU(d, gx + 2 * u + j), hn::LoadU(d, gh + 2 * u + j)));
    const auto o = sigmoid(d, hn::Add(hn::LoadU(d, gx + 3 * u + j), hn::LoadU(d, gh + 3 * u + j)));
    const auto cell = hn::MulAdd(f, hn::LoadU(d, c + j), hn::Mul(i, g));
    const auto out = hn::Mul(o, tanh(d, cell));
    hn::StoreU(i, d, gates + j);
    hn::StoreU(f, d, gates + u + j);
    hn::StoreU(g, d, gates + 2 * u + j);
    hn::StoreU(o, d, gates + 3 * u + j);
    hn::StoreU(cell, d, c_next + j);
    hn::StoreU(out, d, next + j);
    hn::StoreU(out, d, y + j);
  });
}

// dy of a sigmoid s and of a tanh t, times the gradient.
template <class D, class V>
HWY_INLINE V through_sigmoid(D d, V s, V grad) {
  return hn::Mul(grad, hn::NegMulAdd(s, s, s));
}
template <class D, class V>
HWY_INLINE V through_tanh(D d, V t, V grad) {
  return hn::Mul(grad, hn::NegMulAdd(t, t, hn::Set(d, 1.0F)));
}

void gru_after_backward_row(const RnnStep& s, const RnnStepGradient& grad, int64_t b) {
  const int64_t u = s.units;
  const float *gates = s.gates[b], *h = s.h_prev[b], *dy = grad.dy[b];
  float *dh = grad.dh[b], *dgx = grad.dgx[b], *dgh = grad.dgh[b];
  for_lanes(u, [=](auto d, int64_t i) HWY_ATTR {
    const auto r = hn::LoadU(d, gates + i), z = hn::LoadU(d, gates + u + i), n = hn::LoadU(d, gates + 2 * u + i);
    const auto q = hn::LoadU(d, gates + 3 * u + i);
    const auto g = hn::Add(hn::LoadU(d, dh + i), hn::LoadU(d, dy + i));
    const auto dn = through_tanh(d, n, hn::NegMulAdd(g, z, g));
    const auto dz = through_sigmoid(d, z, hn::Mul(g, hn::Sub(hn::LoadU(d, h + i), n)));
    const auto dr = through_sigmoid(d, r, hn::Mul(dn, q));
    hn::StoreU(dr, d, dgx + i);
    hn::StoreU(dz, d, dgx + u + i);
    hn::StoreU(dn, d, dgx + 2 * u + i);
    hn::StoreU(dr, d, dgh + i);
    hn::StoreU(dz, d, dgh + u + i);
    hn::StoreU(hn::Mul(dn, r), d, dgh + 2 * u + i);
    hn::StoreU(hn::Mul(g, z), d, dh + i);
  });
}

void gru_update_backward_row(const RnnStep& s, const RnnStepGradient& grad, int64_t b) {
  const int64_t u = s.units;
  const float *gates = s.gates[b], *h = s.h_prev[b], *dy = grad.dy[b];
  float *dh = grad.dh[b], *dgx = grad.dgx[b];
  for_lanes(u, [=](auto d, int64_t i) HWY_ATTR {
    const auto z = hn::LoadU(d, gates + u + i), n = hn::LoadU(d, gates + 2 * u + i);
    const auto g = hn::Add(hn::LoadU(d, dh + i), hn::LoadU(d, dy + i));
    hn::StoreU(through_sigmoid(d, z, hn::Mul(g, hn::Sub(hn::LoadU(d, h + i), n))), d, dgx + u + i);
    hn::StoreU(through_tanh(d, n, hn::NegMulAdd(g, z, g)), d, dgx + 2 * u + i);
    hn::StoreU(hn::Mul(g, z), d, dh + i);
  });
}

void gru_reset_backward_row(const RnnStep& s, const RnnStepGradient& grad, int64_t b) {
  const int64_t u = s.units;
  const float *gates = s.gates[b], *h = s.h_prev[b], *dq = grad.dq[b];
  float *dh = grad.dh[b], *dgx = grad.dgx[b];
  for_lanes(u, [=](auto d, int64_t i) HWY_ATTR {
    const auto r = hn::LoadU(d, gates + i), g = hn::LoadU(d, dq + i);
    hn::StoreU(through_sigmoid(d, r, hn::Mul(g, hn::LoadU(d, h + i))), d, dgx + i);
    hn::StoreU(hn::MulAdd(g, r, hn::LoadU(d, dh + i)), d, dh + i);
  });
}

void lstm_backward_row(const RnnStep& s, const RnnStepGradient& grad, int64_t b) {
  const int64_t u = s.units;
  const float *gates = s.gates[b], *c = s.c_prev[b], *c_next = s.c_next[b], *dy = grad.dy[b];
  float *dh = grad.dh[b], *dc = grad.dc[b], *dgx = grad.dgx[b];
  for_lanes(u, [=](auto d, int64_t j) HWY_ATTR {
    const auto i = hn::LoadU(d, gates + j), f = hn::LoadU(d, gates + u + j), g = hn::LoadU(d, gates + 2 * u + j);
    const auto o = hn::LoadU(d, gates + 3 * u + j), t = tanh(d, hn::LoadU(d, c_next + j));
    const auto dout = hn::Add(hn::LoadU(d, dh + j), hn::LoadU(d, dy + j));
    const auto dcell = hn::Add(hn::LoadU(d, dc + j), through_tanh(d, t, hn::Mul(dout, o)));
    hn::StoreU(through_sigmoid(d, i, hn::Mul(dcell, g)), d, dgx + j);
    hn::StoreU(through_sigmoid(d, f, hn::Mul(dcell, hn::LoadU(d, c + j))), d, dgx + u + j);
    hn::StoreU(through_tanh(d, g, hn::Mul(dcell, i)), d, dgx + 2 * u + j);
    hn::StoreU(through_sigmoid(d, o, hn::Mul(dout, t)), d, dgx + 3 * u + j);
    hn::StoreU(hn::Mul(dcell, f), d, dc + j);
    hn::StoreU(hn::Zero(d), d, dh + j);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels {

HWY_EXPORT(gru_after_row);
HWY_EXPORT(gru_reset_row);
HWY_EXPORT(gru_update_row);
HWY_EXPORT(lstm_row);
HWY_EXPORT(gru_after_backward_row);
HWY_EXPORT(gru_update_backward_row);
HWY_EXPORT(gru_reset_backward_row);
HWY_EXPORT(lstm_backward_row);

namespace {

void clear(float* x, int64_t n) { std::memset(x, 0, static_cast<size_t>(n) * sizeof(float)); }
void carry(const Rows& from, const Rows& to, int64_t b, int64_t n) {
  if (from[b] != to[b]) std::memcpy(to[b], from[b], static_cast<size_t>(n) * sizeof(float));
}

// present(b) for the examples that have this step, missing(b) for the others.
template <class Present, class Missing>
void for_each_example(const RnnStep& s, const Present& present, const Missing& missing) noexcept {
  const bool parallel = int64_t{s.batch} * s.units >= 8192;
  for_each_index(s.batch, s.threads, parallel, [&](int64_t b) {
    if (s.lengths == nullptr || s.step < s.lengths[b]) {
      present(b);
    } else {
      missing(b);
    }
  });
}

}  // namespace

void gru_after_forward(const RnnStep& s) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(gru_after_row);
  for_each_example(
      s, [&](int64_t b) { row(s, b); },
      [&](int64_t b) {
        carry(s.h_prev, s.h_next, b, s.units);
        clear(s.y[b], s.units);
      });
}

void gru_before_reset(const RnnStep& s) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(gru_reset_row);
  for_each_example(
      s, [&](int64_t b) { row(s, b); }, [&](int64_t b) { clear(s.gates[b] + int64_t{3} * s.units, s.units); });
}

void gru_before_update(const RnnStep& s) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(gru_update_row);
  for_each_example(
      s, [&](int64_t b) { row(s, b); },
      [&](int64_t b) {
        carry(s.h_prev, s.h_next, b, s.units);
        clear(s.y[b], s.units);
      });
}

void lstm_forward(const RnnStep& s) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(lstm_row);
  for_each_example(
      s, [&](int64_t b) { row(s, b); },
      [&](int64_t b) {
        carry(s.h_prev, s.h_next, b, s.units);
        carry(s.c_prev, s.c_next, b, s.units);
        clear(s.y[b], s.units);
      });
}

void gru_after_backward(const RnnStep& s, const RnnStepGradient& g) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(gru_after_backward_row);
  for_each_example(
      s, [&](int64_t b) { row(s, g, b); },
      [&](int64_t b) {
        clear(g.dgx[b], int64_t{3} * s.units);
        clear(g.dgh[b], int64_t{3} * s.units);
      });
}

void gru_before_update_backward(const RnnStep& s, const RnnStepGradient& g) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(gru_update_backward_row);
  for_each_example(
      s, [&](int64_t b) { row(s, g, b); }, [&](int64_t b) { clear(g.dgx[b], int64_t{3} * s.units); });
}

void gru_before_reset_backward(const RnnStep& s, const RnnStepGradient& g) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(gru_reset_backward_row);
  for_each_example(
      s, [&](int64_t b) { row(s, g, b); }, [](int64_t) {});
}

void lstm_backward(const RnnStep& s, const RnnStepGradient& g) noexcept {
  const auto row = &HWY_DYNAMIC_DISPATCH(lstm_backward_row);
  for_each_example(
      s, [&](int64_t b) { row(s, g, b); }, [&](int64_t b) { clear(g.dgx[b], int64_t{4} * s.units); });
}

}  // namespace fdi::kernels
#endif
