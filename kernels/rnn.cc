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
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto r = sigmoid(d, hn::Add(at.load(gx), at.load(gh)));
    const auto z = sigmoid(d, hn::Add(at.load(gx + u), at.load(gh + u)));
    const auto q = at.load(gh + 2 * u);
    const auto n = tanh(d, hn::MulAdd(r, q, at.load(gx + 2 * u)));
    const auto out = hn::MulAdd(z, hn::Sub(at.load(h), n), n);
    at.store(r, gates);
    at.store(z, gates + u);
    at.store(n, gates + 2 * u);
    at.store(q, gates + 3 * u);
    at.store(out, next);
    at.store(out, y);
  });
}

void gru_reset_row(const RnnStep& s, int64_t b) {
  const int64_t u = s.units;
  const float *gx = s.gx[b], *gh = s.gh[b], *h = s.h_prev[b];
  float* gates = s.gates[b];
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto r = sigmoid(d, hn::Add(at.load(gx), at.load(gh)));
    const auto z = sigmoid(d, hn::Add(at.load(gx + u), at.load(gh + u)));
    at.store(r, gates);
    at.store(z, gates + u);
    at.store(hn::Mul(r, at.load(h)), gates + 3 * u);
  });
}

void gru_update_row(const RnnStep& s, int64_t b) {
  const int64_t u = s.units;
  const float *gx = s.gx[b] + 2 * u, *gh = s.gh[b] + 2 * u, *h = s.h_prev[b];
  float *gates = s.gates[b], *next = s.h_next[b], *y = s.y[b];
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto n = tanh(d, hn::Add(at.load(gx), at.load(gh)));
    const auto out = hn::MulAdd(at.load(gates + u), hn::Sub(at.load(h), n), n);
    at.store(n, gates + 2 * u);
    at.store(out, next);
    at.store(out, y);
  });
}

void lstm_row(const RnnStep& s, int64_t b) {
  const int64_t u = s.units;
  const float *gx = s.gx[b], *gh = s.gh[b], *c = s.c_prev[b];
  float *gates = s.gates[b], *next = s.h_next[b], *y = s.y[b], *c_next = s.c_next[b];
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto i = sigmoid(d, hn::Add(at.load(gx), at.load(gh)));
    const auto f = sigmoid(d, hn::Add(at.load(gx + u), at.load(gh + u)));
    const auto g = tanh(d, hn::Add(at.load(gx + 2 * u), at.load(gh + 2 * u)));
    const auto o = sigmoid(d, hn::Add(at.load(gx + 3 * u), at.load(gh + 3 * u)));
    const auto cell = hn::MulAdd(f, at.load(c), hn::Mul(i, g));
    const auto out = hn::Mul(o, tanh(d, cell));
    at.store(i, gates);
    at.store(f, gates + u);
    at.store(g, gates + 2 * u);
    at.store(o, gates + 3 * u);
    at.store(cell, c_next);
    at.store(out, next);
    at.store(out, y);
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
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto r = at.load(gates), z = at.load(gates + u), n = at.load(gates + 2 * u);
    const auto q = at.load(gates + 3 * u);
    const auto g = hn::Add(at.load(dh), at.load(dy));
    const auto dn = through_tanh(d, n, hn::NegMulAdd(g, z, g));
    const auto dz = through_sigmoid(d, z, hn::Mul(g, hn::Sub(at.load(h), n)));
    const auto dr = through_sigmoid(d, r, hn::Mul(dn, q));
    at.store(dr, dgx);
    at.store(dz, dgx + u);
    at.store(dn, dgx + 2 * u);
    at.store(dr, dgh);
    at.store(dz, dgh + u);
    at.store(hn::Mul(dn, r), dgh + 2 * u);
    at.store(hn::Mul(g, z), dh);
  });
}

void gru_update_backward_row(const RnnStep& s, const RnnStepGradient& grad, int64_t b) {
  const int64_t u = s.units;
  const float *gates = s.gates[b], *h = s.h_prev[b], *dy = grad.dy[b];
  float *dh = grad.dh[b], *dgx = grad.dgx[b];
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto z = at.load(gates + u), n = at.load(gates + 2 * u);
    const auto g = hn::Add(at.load(dh), at.load(dy));
    at.store(through_sigmoid(d, z, hn::Mul(g, hn::Sub(at.load(h), n))), dgx + u);
    at.store(through_tanh(d, n, hn::NegMulAdd(g, z, g)), dgx + 2 * u);
    at.store(hn::Mul(g, z), dh);
  });
}

void gru_reset_backward_row(const RnnStep& s, const RnnStepGradient& grad, int64_t b) {
  const int64_t u = s.units;
  const float *gates = s.gates[b], *h = s.h_prev[b], *dq = grad.dq[b];
  float *dh = grad.dh[b], *dgx = grad.dgx[b];
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto r = at.load(gates), g = at.load(dq);
    at.store(through_sigmoid(d, r, hn::Mul(g, at.load(h))), dgx);
    at.store(hn::MulAdd(g, r, at.load(dh)), dh);
  });
}

void lstm_backward_row(const RnnStep& s, const RnnStepGradient& grad, int64_t b) {
  const int64_t u = s.units;
  const float *gates = s.gates[b], *c = s.c_prev[b], *c_next = s.c_next[b], *dy = grad.dy[b];
  float *dh = grad.dh[b], *dc = grad.dc[b], *dgx = grad.dgx[b];
  for_row(u, [=](auto at) HWY_ATTR {
    const auto d = at.d;
    const auto i = at.load(gates), f = at.load(gates + u), g = at.load(gates + 2 * u);
    const auto o = at.load(gates + 3 * u), t = tanh(d, at.load(c_next));
    const auto dout = hn::Add(at.load(dh), at.load(dy));
    const auto dcell = hn::Add(at.load(dc), through_tanh(d, t, hn::Mul(dout, o)));
    at.store(through_sigmoid(d, i, hn::Mul(dcell, g)), dgx);
    at.store(through_sigmoid(d, f, hn::Mul(dcell, at.load(c))), dgx + u);
    at.store(through_tanh(d, g, hn::Mul(dcell, i)), dgx + 2 * u);
    at.store(through_sigmoid(d, o, hn::Mul(dout, t)), dgx + 3 * u);
    at.store(hn::Mul(dcell, f), dc);
    at.store(hn::Zero(d), dh);
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
