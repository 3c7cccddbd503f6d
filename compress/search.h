// Search: the compressor-critic of DeepIoT (Yao et al. 2017), steered by an objective (equation 8). The critic, the
// network itself, trains with units switched off at random; the compressor learns with which probability each unit
// stays, from the losses of the structures that were drawn (score function) and from what structures cost. A threshold
// rises; units below it go, until every limit holds. Called by `fastdeepiot compress`.
//
// The weight of the cost (lambda) is given, or found by dual ascent on what the limits allow (Platt & Barr 1988,
// Constrained Differential Optimization): with c the expected structure's share of a limited cost in the original's,
// and a schedule s that falls linearly from 1 to the limit's share over the first half of the thresholds,
//   lambda <- max(0, lambda + kDualRate / stage_steps * (c - s)) / (the original's cost)
// after each iteration; of several limits the one that is missed most. The schedule is ahead of the threshold, so that
// it is the cost, not the threshold alone, that decides which units fall below.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "compress/batch_stream.h"
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
  double beta = 0.5;         // units below the threshold are drawn with beta * p
  double average = 0.9;      // of the moving mean and deviation of the losses
  double lambda = 0;         // loss per unit of cost
  bool find_lambda = false;  // by dual ascent, in place of `lambda`
  // How the loss reaches the compressor. By score functions, from the losses of whole structures, as published: a fresh
  // batch is run for it. Or by slopes: those of the loss at the units' masks, which the critic's own backward pass
  // gives, one for each unit and example: far less noise, and half the work.
  bool by_slopes = false;
  // How the cost reaches the compressor: its slope at the expected widths (low variance), or as part of the reward of
  // each structure drawn, one per example.
  bool cost_as_reward = false;
  // Rounds of pruning by saliency (knapsack.h) of stage_steps each; 0: none. A search is then for kSearchRoom times the
  // budgets, and the rounds go from there to them: what a unit is worth shows better where nothing is drawn at random
  // any more.
  int rounds = 0;
  // Budgets, 0: none. The search ends when all of them hold.
  double target_size = 0;  // part of the parameters
  double max_ms = 0;       // predicted time
  double max_mb = 0;       // peak memory of inference, MiB
  uint64_t seed = 1;
  nlohmann::json data =
      nlohmann::json::object();  // how batches and cost come about; carried and compared, not read here
};
constexpr double kSearchRoom = 1.3;
nlohmann::json search_config_to_json(const SearchConfig& config);
SearchConfig search_config_from_json(const nlohmann::json& json);  // throws Error for a value out of range

struct StageRecord {
  int64_t iteration = 0;    // finished ones
  double threshold = 0;     // -1: there is none
  std::vector<int> widths;  // by group: units at or above the threshold
  double size = 1;          // part of the parameters that they leave
  double cost = 0;          // of the objective
  double loss = 0;          // of the critic in training, mean over the stage
  double accuracy = 0;      // of the soft network on the validation images; -1: there are none
  double predicted_ms = 0;  // -1: there is no time model
  double lambda = 0;        // loss per unit of the objective's cost, at the end of the stage
};
nlohmann::json stage_to_json(const StageRecord& record);

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
  double dual = 0;                 // lambda as found so far, times the original's cost
  std::vector<StageRecord> history;
};

void save_search(const std::string& path, SearchState& state);
SearchState load_search(const std::string& path);  // throws Error for a file that is damaged or something else

// What a structure costs, as the search asks for it.
struct Costs {
  Objective objective = no_objective();  // weighed against the loss
  std::vector<Limit> limits{};           // the config's budgets; without any, the last threshold ends the search
  Cost predicted_ms{};                   // for the records; empty: there is no time model
};
// The config's budgets as limits. `model` may be null where none is on the time.
std::vector<Limit> limits_of(const SearchConfig& config, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                             const profile::TimeModel* model);

struct SearchOptions {
  std::string checkpoint;  // file, written after every stage; empty: none
  core::Progress* progress = nullptr;
};

// What is drawn from: p at or above the threshold, beta * p below.
std::vector<float> softened(std::span<const float> p, double threshold, double beta);
// Units at or above the threshold; of a group that would be empty, the likeliest one.
Keep keep_at(const nn::UnitGroups& groups, std::span<const float> p, double threshold);
// The units that stay: those of the lowest threshold at which share() of their widths is `most` or less, and what fits
// beside them, by p per cost (choose_under_budget). The time of fewer units may be longer, so that every threshold is
// tried, from 0 on; share() is asked for at most once per unit.
Keep choose_by_probability(const nn::UnitGroups& groups, std::span<const float> p, const Cost& share, double most);
// By unit: the mean over examples of advantage * d log P(z | q) / d q, of masks z (examples, units) drawn from q.
std::vector<double> score_gradient(std::span<const float> masks, std::span<const float> q,
                                   std::span<const double> advantage);

// By unit: d mean loss / d q, what the unit adds to the loss, from `slopes` d mean loss / d mask (examples, units);
// mean over examples, with g the slope of the example's own loss. One that has the unit: g - g^2 / 2, to the second
// order, with its Fisher information as the curvature (Theis et al. 2018, Faster gaze prediction with dense networks
// and Fisher pruning): the slope alone says little of a trained network, where what batch norm scales is at its best
// scale, so that its mean is near 0. One without the unit: g / 2, by the trapezoid rule to such an end.
//   Batch norm's statistics are the batch's, so that g also holds a little of what the mask does to the other examples.
// Of a trained ResNet-20 with nine units of ten drawn, g and differences of the example's own loss correlate by 0.96
// (batches of 64) and 0.95 (of 16), and what this gives for units correlates by 0.91 and 0.88 with what leaving them
// out adds to the loss. Running statistics would give 0.94 and 0.93, for a second pass forward and back.
std::vector<double> slope_gradient(std::span<const float> masks, std::span<const float> slopes, size_t units);

class Search {
 public:
  Search(SearchState& state, const Costs& costs, const SearchOptions& options = {});

  // Until the limits hold or the threshold has reached its end. `validation` may be null. Throws Error where the loss
  // is no number any more; the last checkpoint stays.
  void run(nn::BatchSource& train, nn::BatchSource* validation);
  // By unit: the probability of being kept.
  std::vector<float> probabilities();
  // The dense network of these units. What reads a unit is scaled by its probability, as evaluation has it.
  nn::Model shrunk(const Keep& keep);

 private:
  double threshold_of(int64_t stage) const;
  int64_t last_stage() const;
  double lambda() const;
  void ascend(std::span<const float> q);
  std::vector<double> expected_widths(std::span<const float> q) const;
  std::string live_line(double loss, double steps_per_s) const;
  double threshold() const { return threshold_of(state_.iteration / state_.config.stage_steps); }
  void iterate(BatchStream& batches, double& loss_sum);
  double train_critic(const nn::Batch& batch);
  double critic_loss(const nn::Batch& batch, std::span<const float> masks);
  void step_critic(std::span<const float> gradient);
  void train_compressor(const nn::Batch& batch);
  double train_both(const nn::Batch& batch);
  std::vector<double> rewards_of(std::span<const float> masks) const;
  void step_compressor(std::span<const float> p, std::span<const float> q, std::vector<double> dq);
  std::vector<double> advantages(std::vector<double> rewards);
  std::vector<double> cost_gradient(std::span<const float> q) const;
  StageRecord judge(double loss, nn::BatchSource* validation);
  void check_finite(double loss, const char* whose) const;

  SearchState& state_;
  const Costs& costs_;
  const SearchOptions options_;
  const Cost share_, size_;       // of the limits; part of the parameters
  const std::vector<int> whole_;  // widths of the original
  int64_t steps_ = 0;             // of this run() so far
  MaskedCritic critic_;
};

}  // namespace fdi::compress
