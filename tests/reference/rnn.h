// Naive twins of a whole GRU and LSTM sequence for one example: plain loops in double, written from the formulas.
#pragma once
#include <vector>

namespace fdi::reference {

struct RnnWeights {  // row-major; columns r, z, n or i, f, g, o
  int in, units;
  std::vector<float> input, hidden, bias, bias_hidden;  // bias_hidden: empty where there is none
};

// x (time, in) -> y (time, units)
std::vector<double> gru(const RnnWeights& w, int time, const std::vector<float>& x, bool reset_after);
std::vector<double> lstm(const RnnWeights& w, int time, const std::vector<float>& x);

}  // namespace fdi::reference
