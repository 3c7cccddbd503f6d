// The checkpoint of rounds of pruning: what the last finished one left. Written and read by `compress`.
#pragma once
#include <string>
#include <vector>

#include "compress/knapsack.h"

namespace fdi::cli {

struct Rounds {
  compress::Pruned pruned;
  double max_ms = 0;               // what they go by: the budget as the time model would have it; 0: none
  std::vector<double> accuracies;  // by round: on validation images, after its training and before its pruning
};
void save_rounds(const std::string& path, const Rounds& rounds);
Rounds load_rounds(const std::string& path);  // throws Error for a file that is damaged or something else

}  // namespace fdi::cli
