// One time step of GRU and LSTM, without the matrix products: gates forward and backward. Called by the gru and lstm
// layers (nn/recurrent.h). Rows are examples; every operand is a column block of some (batch, ...) array, hence the
// leading dimensions. At a step that an example does not have (step >= lengths[b]) its state is carried over, its
// output is 0 and its gradients are 0.
#pragma once
#include <cstdint>

namespace fdi::kernels {

struct Rows {  // row b at data + b * ld
  float* data = nullptr;
  int64_t ld = 0;
  float* operator[](int64_t row) const { return data + row * ld; }
};

struct RnnStep {
  int batch = 0, units = 0;
  int step = 0;
  const int* lengths = nullptr;  // null: every example has every step
  int threads = 1;
  Rows gx{};                // (batch, 3 or 4 units) pre-activations: the input's part, with its bias
  Rows gh{};                // (batch, 3 or 4 units) the state's part, with its bias
  Rows gates{};             // (batch, 4 units) what backward needs; GRU: r, z, n, q; LSTM: i, f, g, o
  Rows h_prev{}, h_next{};  // (batch, units); may be the same array
  Rows c_prev{}, c_next{};  // (batch, units) LSTM's cell; may be the same array
  Rows y{};                 // (batch, units): h_next, or 0 at a missing step
};

// GRU, columns in the order r, z, n (PyTorch's): h_next = (1 - z) n + z h_prev, r and z = sigmoid(gx + gh).
// Reset after: n = tanh(gx_n + r q) with q = gh_n.
void gru_after_forward(const RnnStep& s) noexcept;
// Reset before (Cho et al. 2014), in two parts: r, z and q = r h_prev; the caller puts q W_n into gh_n; then
// n = tanh(gx_n + gh_n) and h_next.
void gru_before_reset(const RnnStep& s) noexcept;
void gru_before_update(const RnnStep& s) noexcept;
// LSTM, columns i, f, g, o (PyTorch's): c_next = f c_prev + i g, h_next = o tanh(c_next).
void lstm_forward(const RnnStep& s) noexcept;

struct RnnStepGradient {
  Rows dy;   // (batch, units)
  Rows dh;   // (batch, units) in: from step + 1; out: the part for h_prev that runs through no matrix
  Rows dc;   // (batch, units) LSTM: in for c_next, out for c_prev
  Rows dgx;  // (batch, 3 or 4 units) out
  Rows dgh;  // (batch, 3 units) out; GRU reset after only: elsewhere it equals dgx
  Rows dq;   // (batch, units) GRU reset before: gradient of q, in for gru_before_reset_backward
};
void gru_after_backward(const RnnStep& s, const RnnStepGradient& g) noexcept;
// Order: update (fills z and n of dgx), the caller's dq = dgx_n W_n^T, then reset (fills r of dgx, adds to dh).
void gru_before_update_backward(const RnnStep& s, const RnnStepGradient& g) noexcept;
void gru_before_reset_backward(const RnnStep& s, const RnnStepGradient& g) noexcept;
void lstm_backward(const RnnStep& s, const RnnStepGradient& g) noexcept;

}  // namespace fdi::kernels
