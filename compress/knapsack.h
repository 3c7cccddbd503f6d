// Saliency under a budget (after HALP, Shen et al. 2022): the network trains, its units are scored by Taylor importance
// meanwhile, and the most important ones that a budget pays for stay, the cost of each width looked up with the
// neighbours' widths as they are; the budget falls over several rounds. Called by `fastdeepiot compress`: by itself it
// is a strong baseline (--method knapsack), and a search ends with it.
#pragma once
#include <functional>
#include <vector>

#include "compress/choose.h"
#include "nn/batch_source.h"
#include "nn/model_file.h"

namespace fdi::compress {

// Trains the model for a round, and returns what each unit was worth meanwhile.
using TrainAndScore = std::function<std::vector<double>(nn::Model& model, const nn::UnitGroups& groups, int round)>;

struct PruneRound {
  double budget = 0, cost = 0;  // cost: of what stays
  std::vector<int> widths;      // by group
};

// What is left: after some rounds, or before the last choice, which is the caller's: it may measure, and choose again.
struct Pruned {
  nn::Model model;
  nn::UnitGroups groups;      // of the model
  Keep keep;                  // of the units that it began with
  std::vector<double> score;  // by unit of the model, from the last of all rounds
  std::vector<PruneRound> rounds;
};
Pruned unpruned(nn::Model model);

// Each round but the last trains, scores and prunes; the last one leaves the choice. The budget falls from the
// network's cost, by the same factor each round, to what leaves the last choice some room: kRoom times `budget`. Goes
// on from where `pruned` is; `after` is called when a round has left it.
constexpr double kRoom = 1.1;
void prune_under_budget(Pruned& pruned, const Cost& cost, double budget, int rounds, const TrainAndScore& train,
                        const std::function<void()>& after = {});
// `keep` counts units among those that `left` has kept: the same units, counted as `left` does.
Keep kept_of(const Keep& left, const Keep& keep);

// Mini-batch SGD at a constant rate over `steps` batches a round, each round's behind those of the round before; rounds
// are asked for in turn, from any on.
struct PruneTraining {
  int steps = 200, batch = 64;
  double lr = 0.01;
  uint64_t seed = 1;
};
TrainAndScore train_with_sgd(nn::BatchSource& source, const PruneTraining& training);

}  // namespace fdi::compress
