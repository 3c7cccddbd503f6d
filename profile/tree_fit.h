// Algorithm 1: grows the tree of one op from samples. Called by OpModel::fit with its training share.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "profile/time_model.h"
#include "profile/tree.h"

namespace fdi::profile {

struct Observation {
  Structure structure;
  double us = 0;  // above 0
};

// What a fit costs, counted: the split search adds each sample once per feature and per divisor, and solves twice per
// candidate, whatever the number of samples.
struct FitCost {
  int64_t gram_rows = 0, solves = 0;
  int64_t products = 0;  // of two columns, by the search for variables
};

// Begin and end of each run of equal structures in `sorted`, which is in their order: a layer that was measured more
// than once, here or as part of another network. What is judged on samples that a fit has not seen keeps such together:
// one of them in the fit tells the others.
std::vector<std::pair<size_t, size_t>> equal_structures(std::span<const Observation> sorted);

// Of one op, at least one. The same tree for any order of the observations.
Tree fit_tree(std::span<const Observation> observations, const FitOptions& options, FitCost* cost = nullptr);

}  // namespace fdi::profile
