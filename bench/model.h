// Benchmark of whole networks at inference: time, memory, and the same network made of oneDNN primitives in turn with
// ours. Called by `fastdeepiot bench model` and `bench rnn`.
#pragma once
#include <string>
#include <vector>

#include "bench/report.h"
#include "nn/spec.h"

namespace fdi::bench {

struct RnnShape {
  nn::Op op = nn::Op::kGru;  // or kLstm
  int in = 1000, steps = 20;
  std::vector<int> units{120, 120};
};
nn::NetworkSpec rnn_spec(const RnnShape& shape);

// JSON: {median_ms, min_ms, rel_mad, peak_resident_mib, memory {planned_mib, weights_mib, activations_mib,
// workspace_mib, before_mib, building_peak_mib}, peers {onednn {median_ms, ...}}, ratios {onednn: their time / ours}}.
// peak_resident_mib is the resident peak of this process while our network runs, before any peer exists: program and
// libraries (before_mib) included. `peer` false: no peer is built at all.
Report model(const nn::NetworkSpec& spec, int batch, bool peer, const device::MeasureOptions& timing);

}  // namespace fdi::bench
