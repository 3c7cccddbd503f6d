// Summary: a network as a table, one row per layer. Printed by `fastdeepiot info`.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "nn/spec.h"

namespace fdi::nn {

struct LayerSummary {
  std::string name, op;
  Shape output;              // of one example
  int64_t parameters = 0;    // trainable values
  int64_t state = 0;         // others: running statistics
  int64_t flops = 0;         // per example; one multiply-add = 2
  int64_t output_bytes = 0;  // per example; 0 for an alias (flatten), which has no memory of its own
};
struct Summary {
  std::vector<LayerSummary> layers;
  int64_t parameters = 0, state = 0, flops = 0, output_bytes = 0;  // sums
};
Summary summarize(const NetworkSpec& spec);

}  // namespace fdi::nn
