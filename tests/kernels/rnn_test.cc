// GRU and LSTM steps against the naive twins, on every instruction set.
// The gradients are checked numerically, through the layers (tests/nn/recurrent_test.cc); here every target's backward
// kernels are compared with the scalar target's.
#include "kernels/rnn.h"

#include "tests/kernels/every_isa.h"
#include "tests/reference/rnn.h"

namespace fdi::kernels {
namespace {

using Rnn = EveryIsa;
FDI_FOR_EVERY_ISA(Rnn);

constexpr double kTolerance = 3e-6;  // outputs below 1, four steps, sums of at most 70 terms
constexpr int kUnits[] = {1, 2, 7, 8, 9, 15, 16, 17, 33, 64};

enum class Form { kGruAfter, kGruBefore, kLstm };

// y (n) = x (k) w (k, n) [+ bias]
void multiply(int k, int n, const float* x, const float* w, int ldw, const float* bias, float* y) {
  for (int j = 0; j < n; ++j) {
    double sum = bias == nullptr ? 0 : bias[j];
    for (int i = 0; i < k; ++i) sum += double{x[i]} * w[i * ldw + j];
    y[j] = static_cast<float>(sum);
  }
}

// A sequence of one example, the products by the loops above.
std::vector<float> sequence(Form form, const reference::RnnWeights& w, int time, const std::vector<float>& x) {
  const int u = w.units, columns = form == Form::kLstm ? 4 * u : 3 * u;
  std::vector<float> gx(columns), gh(columns), gates(4 * u), h(u), c(u), y(static_cast<size_t>(time) * u);
  const float* bias_hidden = w.bias_hidden.empty() ? nullptr : w.bias_hidden.data();
  for (int t = 0; t < time; ++t) {
    RnnStep s{.batch = 1, .units = u, .step = t};
    s.gx = {gx.data(), columns};
    s.gh = {gh.data(), columns};
    s.gates = {gates.data(), 4 * u};
    s.h_prev = s.h_next = {h.data(), u};
    s.c_prev = s.c_next = {c.data(), u};
    s.y = {y.data() + t * u, u};
    multiply(w.in, columns, x.data() + t * w.in, w.input.data(), columns, w.bias.data(), gx.data());
    const int first = form == Form::kGruBefore ? 2 * u : columns;
    multiply(u, first, h.data(), w.hidden.data(), columns, bias_hidden, gh.data());
    if (form == Form::kLstm) lstm_forward(s);
    if (form == Form::kGruAfter) gru_after_forward(s);
    if (form == Form::kGruBefore) {
      gru_before_reset(s);
      multiply(u, u, gates.data() + 3 * u, w.hidden.data() + 2 * u, columns, nullptr, gh.data() + 2 * u);
      gru_before_update(s);
    }
  }
  return y;
}

TEST_P(Rnn, SequencesAgreeWithTheNaiveTwins) {
  const int time = 4, in = 5;
  for (int u : kUnits) {
    for (const Form form : {Form::kGruAfter, Form::kGruBefore, Form::kLstm}) {
      const int columns = (form == Form::kLstm ? 4 : 3) * u;
      const reference::RnnWeights w{in,
                                    u,
                                    random_floats(static_cast<size_t>(in) * columns, 1),
                                    random_floats(static_cast<size_t>(u) * columns, 2),
                                    random_floats(columns, 3),
                                    form == Form::kGruAfter ? random_floats(columns, 4) : std::vector<float>{}};
      const auto x = random_floats(static_cast<size_t>(time) * in, 5);
      const auto want =
          form == Form::kLstm ? reference::lstm(w, time, x) : reference::gru(w, time, x, form == Form::kGruAfter);
      expect_close(sequence(form, w, time, x), want, kTolerance, "units " + std::to_string(u));
    }
  }
}

// All outputs of the backward kernels for a random step of three examples, the second of which lacks the step.
std::vector<float> backward_outputs(Form form, int u) {
  const int batch = 3, columns = (form == Form::kLstm ? 4 : 3) * u;
  auto gates = random_floats(static_cast<size_t>(batch) * 4 * u, 1, 0.05F, 0.95F);
  auto h = random_floats(static_cast<size_t>(batch) * u, 2), c = random_floats(static_cast<size_t>(batch) * u, 3);
  auto c_next = random_floats(static_cast<size_t>(batch) * u, 4), dy = random_floats(static_cast<size_t>(batch) * u, 5);
  auto dh = random_floats(static_cast<size_t>(batch) * u, 6), dc = random_floats(static_cast<size_t>(batch) * u, 7);
  auto dq = random_floats(static_cast<size_t>(batch) * u, 8);
  std::vector<float> dgx(static_cast<size_t>(batch) * columns, 99.0F), dgh = dgx;
  const std::vector<int> lengths{3, 2, 4};
  RnnStep s{.batch = batch, .units = u, .step = 2, .lengths = lengths.data(), .threads = 2};
  s.gates = {gates.data(), 4 * u};
  s.h_prev = {h.data(), u};
  s.c_prev = {c.data(), u};
  s.c_next = {c_next.data(), u};
  RnnStepGradient g;
  g.dy = {dy.data(), u};
  g.dh = {dh.data(), u};
  g.dc = {dc.data(), u};
  g.dgx = {dgx.data(), columns};
  g.dgh = {dgh.data(), columns};
  g.dq = {dq.data(), u};
  if (form == Form::kLstm) lstm_backward(s, g);
  if (form == Form::kGruAfter) gru_after_backward(s, g);
  if (form == Form::kGruBefore) {
    gru_before_update_backward(s, g);
    gru_before_reset_backward(s, g);
  }
  for (int i = 0; i < columns; ++i) EXPECT_EQ(dgx[columns + i], 0.0F) << "the missing step has a gradient";
  std::vector<float> out = dgx;
  for (const auto& part : {dgh, dh, dc}) out.insert(out.end(), part.begin(), part.end());
  return out;
}

TEST_P(Rnn, BackwardAgreesWithTheScalarTarget) {
  for (int u : kUnits) {
    for (const Form form : {Form::kGruAfter, Form::kGruBefore, Form::kLstm}) {
      const auto got = backward_outputs(form, u);
      set_isa("scalar");
      const auto want = backward_outputs(form, u);
      set_isa(GetParam());
      expect_close(got, want, 1e-6, "units " + std::to_string(u));
    }
  }
}

}  // namespace
}  // namespace fdi::kernels
