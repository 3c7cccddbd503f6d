#include "tests/reference/rnn.h"

#include <cmath>

#include "tests/reference/elementwise.h"

namespace fdi::reference {
namespace {

// Pre-activation of column `column`: from (rows of the matrix) times that column, plus bias.
double dot(const std::vector<double>& from, const std::vector<float>& matrix, int columns, int column,
           const std::vector<float>& bias) {
  double sum = bias.empty() ? 0.0 : bias[column];
  for (size_t i = 0; i < from.size(); ++i) sum += from[i] * matrix[i * columns + column];
  return sum;
}

}  // namespace

std::vector<double> gru(const RnnWeights& w, int time, const std::vector<float>& x, bool reset_after) {
  const int u = w.units, columns = 3 * u;
  std::vector<double> h(u), y;
  for (int t = 0; t < time; ++t) {
    const std::vector<double> xt(x.begin() + t * w.in, x.begin() + (t + 1) * w.in);
    std::vector<double> r(u), z(u), rh(u), next(u);
    for (int j = 0; j < u; ++j) {
      r[j] = sigmoid(dot(xt, w.input, columns, j, w.bias) + dot(h, w.hidden, columns, j, w.bias_hidden));
      z[j] = sigmoid(dot(xt, w.input, columns, u + j, w.bias) + dot(h, w.hidden, columns, u + j, w.bias_hidden));
      rh[j] = r[j] * h[j];
    }
    for (int j = 0; j < u; ++j) {
      const double from_x = dot(xt, w.input, columns, 2 * u + j, w.bias);
      const double from_h = reset_after ? r[j] * dot(h, w.hidden, columns, 2 * u + j, w.bias_hidden)
                                        : dot(rh, w.hidden, columns, 2 * u + j, w.bias_hidden);
      next[j] = (1 - z[j]) * std::tanh(from_x + from_h) + z[j] * h[j];
    }
    h = next;
    y.insert(y.end(), h.begin(), h.end());
  }
  return y;
}

std::vector<double> lstm(const RnnWeights& w, int time, const std::vector<float>& x) {
  const int u = w.units, columns = 4 * u;
  std::vector<double> h(u), c(u), y;
  for (int t = 0; t < time; ++t) {
    const std::vector<double> xt(x.begin() + t * w.in, x.begin() + (t + 1) * w.in);
    std::vector<double> next(u);
    for (int j = 0; j < u; ++j) {
      const auto gate = [&](int k) {
        return dot(xt, w.input, columns, k * u + j, w.bias) + dot(h, w.hidden, columns, k * u + j, w.bias_hidden);
      };
      c[j] = sigmoid(gate(1)) * c[j] + sigmoid(gate(0)) * std::tanh(gate(2));
      next[j] = sigmoid(gate(3)) * std::tanh(c[j]);
    }
    h = next;
    y.insert(y.end(), h.begin(), h.end());
  }
  return y;
}

}  // namespace fdi::reference
