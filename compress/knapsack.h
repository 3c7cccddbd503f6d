// Saliency under a budget, a strong baseline (after HALP, Shen et al. 2022): the network trains, its units are scored
// by Taylor importance meanwhile, and the most important ones that a budget pays for stay, the cost of each width
// looked up with the neighbours' widths as they are; the budget falls over several rounds. Called by `fastdeepiot
// compress
// --method knapsack`.
#pragma once
#include <functional>
#include <vector>

#include "compress/choose.h"
#include "nn/batch_source.h"
#include "nn/model_file.h"

namespace fdi::compress {

// The cost of a network by its widths; what is returned lives no longer than its arguments.
using CostOf = std::function<Cost(const nn::NetworkSpec&, const nn::UnitGroups&)>;
// Trains the model for a round, and returns what each unit was worth meanwhile.
using TrainAndScore = std::function<std::vector<double>(nn::Model& model, const nn::UnitGroups& groups, int round)>;

struct PruneRound {
  double budget = 0, cost = 0;  // cost: of what stays
  std::vector<int> widths;      // by group
};

struct Pruned {
  nn::Model model;
  Keep keep;  // of the units that it began with
  std::vector<PruneRound> rounds;
};

// The budget falls from the network's cost, by the same factor each round, to `budget` in the last one. Throws Error
// where even the cheapest widths cost more.
Pruned prune_under_budget(nn::Model model, const CostOf& cost_of, double budget, int rounds,
                          const TrainAndScore& train);

// Mini-batch SGD at a constant rate over `steps` batches a round, going on through the source's passes.
struct PruneTraining {
  int steps = 200, batch = 64;
  double lr = 0.01;
  uint64_t seed = 1;
};
TrainAndScore train_with_sgd(nn::BatchSource& source, const PruneTraining& training);

}  // namespace fdi::compress
