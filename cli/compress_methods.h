// How each method of `fastdeepiot compress` comes to the units that stay: by a search, by uniform widths, by saliency
// under a falling budget. What was chosen is measured here where a budget of time asks for it.
#pragma once
#include <vector>

#include "cli/compress_flags.h"
#include "cli/run_folder.h"
#include "compress/verify.h"

namespace fdi::cli {

struct CompressRun {
  const CompressFlags& flags;
  const RunFolder& folder;
  compress::SearchState& state;  // of methods that do not search: the model and its groups; gains their history
  const compress::Costs& costs;
  bool by_clock;  // a budget of time is kept by what is measured here, not by what the time model predicts
  nn::BatchSource& train;
  nn::BatchSource& validation;
  // Of the whole network, measured per predicted time; set by keeps_as_judged, 1: not timed.
  double measured_per_predicted = 1;
};

// Whether the whole network, which keeps all budgets by the time model, keeps that of time by the judge of this run,
// too: `by_clock` it is timed here. A run that has gone further, or chosen, before it was killed stays with what it
// found.
bool keeps_as_judged(CompressRun& run);

struct Chosen {
  std::vector<compress::Candidate> candidates;  // one of them is chosen; measured_ms is 0 where none was measured
  nn::Model small;                              // dense, to be fine-tuned
};
Chosen choose_structure(CompressRun& run);
// The network as it is, which keeps all budgets.
Chosen keep_structure(CompressRun& run);

}  // namespace fdi::cli
