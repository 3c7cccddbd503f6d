#include "nn/check_batches.h"

#include <algorithm>

#include "core/error.h"

namespace fdi::nn {
namespace {

// Of the last batch of a pass.
int64_t last_batch(int64_t examples, int64_t batch) {
  return examples % batch == 0 ? std::min(examples, batch) : examples % batch;
}

// The batch size nearest to `batch` with which no batch holds one example. There are two examples at least.
int64_t nearest_batch(int64_t examples, int64_t batch) {
  for (int64_t away = 0;; ++away)
    for (const int64_t size : {batch - away, batch + away})
      if (size > 1 && last_batch(examples, size) > 1) return size;
}

}  // namespace

void check_batches(const NetworkSpec& spec, int64_t examples, int batch, std::string_view flag, bool resumed) {
  if (examples < 1 || batch < 1 || last_batch(examples, batch) > 1) return;
  const std::vector<Shape> shapes = output_shapes(spec);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.layers[i].op != Op::kBatchNorm || shapes[i].size() > shapes[i].back()) continue;
    const std::string who = describe(spec.layers[i]);
    if (examples == 1) core::fail("{} cannot learn from one example: it wants more than one value per channel", who);
    core::fail("{} wants more than one value per channel in training, but {}; {} {} {}", who,
               batch == 1 ? fmt::format("with {} 1 it gets one", flag)
                          : fmt::format("with {} {} the last batch of {} examples holds one", flag, batch, examples),
               resumed ? "start a new run in another folder, e.g. with" : "take another batch size, e.g.", flag,
               nearest_batch(examples, batch == 1 ? 32 : batch));
  }
}

}  // namespace fdi::nn
