// Benchmark of the data loader alone: how many augmented images a second reach the trainer. Called by
// `fastdeepiot bench loader`.
#pragma once
#include <string>

#include "bench/report.h"

namespace fdi::bench {

// JSON: {images_per_s, median_ms (of one pass over the training split), min_ms, rel_mad, examples, source}.
Report loader(const std::string& data, int batch, int workers, const device::MeasureOptions& timing);

}  // namespace fdi::bench
