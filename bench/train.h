// Benchmark of training: full steps (forward, loss, backward, update) on random images. Called by
// `fastdeepiot bench train`; the peer is a program of its own, bench/torch_train.py (see bench/compare_train.sh).
#pragma once
#include "bench/report.h"
#include "nn/spec.h"

namespace fdi::bench {

// JSON: {images_per_s, median_ms, min_ms, rel_mad, peak_resident_mib, memory {...}}.
Report train(const nn::NetworkSpec& spec, int batch, const device::MeasureOptions& timing);

}  // namespace fdi::bench
