// Search: the compressor-critic of DeepIoT (Yao et al. 2017), steered by an objective (equation 8). The critic, the
// network itself, trains with units switched off at random; the compressor learns with which probability each unit
// stays, from the losses of the structures that were drawn (score function) and from what structures cost. A threshold
// rises; units below it go, until the target is met. Called by `fastdeepiot compress`.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "compress/compressor.h"
#include "compress/keep.h"
#include "compress/masked_critic.h"
#include "compress/objective.h"
#include "core/progress.h"
#include "nn/batch_source.h"
#include "nn/model_file.h"
#include "nn/optimizer.h"

namespace fdi::compress {

struct SearchConfig {
  int batch = 64;
  double critic_lr = 1e-4;      // Adam, betas 0.5 and 0.9
  double weight_decay = 5e-4;   // of the critic's weights
  double compressor_lr = 1e-3;  // RMSProp
  int stage_steps = 500;        // iterations at each threshold
  double threshold_start = 0, threshold_step = 0.025, threshold_end = 0.825;
  // The probability that every unit starts near; 0.5 is the published form. A deep or narrow network that loses half of
  // its units in every layer learns nothing: start it higher, and the threshold with it.
  double start = 0.5;
  double beta = 0.5;     // units below the threshold are drawn with beta * p
  double average = 0.9;  // of the moving mean and deviation of the losses
  double lambda = 0;     // loss per unit of cost
  // How the cost reaches the compressor: its slope at the expected widths (low variance), or as part of the reward of
  // each structure drawn, one per example.
  bool cost_as_reward = false;
  double target_size = 0;  // stop at this part of the parameters; 0: no such target
  double target_cost = 0;  // stop at this cost; 0: no such target
  uint64_t seed = 1;
  nlohmann::json data =
      nlohmann::json::object();  // how batches and cost come about; carried and compared, not read here
};
nlohmann::json search_config_to_json(const SearchConfig& config);
SearchConfig search_config_from_json(const nlohmann::json& json);  // throws Error for a value out of range

struct StageRecord {
  int64_t iteration = 0;  // finished ones
  double threshold = 0;
  std::vector<int> widths;  // by group: units at or above the threshold
  double size = 1;          // part of the parameters that they leave
  double cost = 0;          // of the objective
  double loss = 0;          // of the critic in training, mean over the stage
  double accuracy = 0;      // of the soft network on the validation images; -1: there are none
};

// The search as it stands between two stages; a checkpoint holds exactly this.
struct SearchState {
  SearchState(nn::Model critic, const SearchConfig& search_config);

  nn::Model model;  // the critic; metadata is carried
  SearchConfig config;
  nn::UnitGroups groups;
  Compressor compressor;
  nn::Optimizer critic_optimizer, compressor_optimizer;
  int64_t iteration = 0;
  double mean = 0, deviation = 0;  // moving, of the losses; set by the first batch
  std::vector<StageRecord> history;
};

void save_search(const std::string& path, SearchState& state);
SearchState load_search(const std::string& path);  // throws Error for a file that is damaged or something else

struct SearchOptions {
  std::string checkpoint;  // file, written after every stage; empty: none
  core::Progress* progress = nullptr;
};

// What is drawn from: p at or above the threshold, beta * p below.
std::vector<float> softened(std::span<const float> p, double threshold, double beta);
// Units at or above the threshold; of a group that would be empty, the likeliest one.
Keep keep_at(const nn::UnitGroups& groups, std::span<const float> p, double threshold);
// By unit: the mean over examples of advantage * d log P(z | q) / d q, of masks z (examples, units) drawn from q.
std::vector<double> score_gradient(std::span<const float> masks, std::span<const float> q,
                                   std::span<const double> advantage);

class Search {
 public:
  Search(SearchState& state, const Objective& objective, const SearchOptions& options = {});

  // Until a target is met or the threshold has reached its end. `validation` may be null. Throws Error where the loss
  // is no number any more; the last checkpoint stays.
  void run(nn::BatchSource& train, nn::BatchSource* validation);
  // The units that stay: of the lowest threshold that meets the target, which may lie between two stages.
  Keep keep();
  // The dense network of these units. What reads a unit is scaled by its probability, as evaluation has it.
  nn::Model shrunk(const Keep& keep);

 private:
  struct Stream;
  double threshold_of(int64_t stage) const;
  double threshold() const { return threshold_of(state_.iteration / state_.config.stage_steps); }
  void iterate(Stream& batches, double& loss_sum);
  void train_compressor(const nn::Batch& batch);
  std::vector<double> advantages(std::vector<double> rewards);
  std::vector<double> cost_gradient(std::span<const float> q) const;
  StageRecord judge(double loss, nn::BatchSource* validation);
  double size_of(const Keep& keep) const;
  bool met(const Keep& keep) const;
  void check_finite(double loss, const char* whose) const;

  SearchState& state_;
  const Objective& objective_;
  const SearchOptions options_;
  MaskedCritic critic_;
};

}  // namespace fdi::compress
