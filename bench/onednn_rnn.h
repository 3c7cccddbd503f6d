// A chain of GRU (reset after) or LSTM layers made of oneDNN's recurrent primitives, as the peer of `bench rnn`.
// Random weights, layouts of oneDNN's own choice.
#pragma once
#include <memory>

#include "nn/spec.h"

namespace fdi::bench {

class OnednnRnn {
 public:
  OnednnRnn(const nn::NetworkSpec& spec, int batch);  // throws core::Error for other ops and without oneDNN
  ~OnednnRnn();
  void run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdi::bench
