// Trainer: batches in, metrics out. Holds all that a run consists of (TrainState), steps through the epochs, writes a
// checkpoint after each, keeps the best weights where there is a validation split. Called by `fastdeepiot train`.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/progress.h"
#include "nn/batch_source.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "nn/train_config.h"

namespace fdi::nn {

// A run as it stands between two epochs; a checkpoint holds exactly this. Random numbers need no state: every stream
// is named by seed, epoch and step (core/rng.h).
struct TrainState {
  TrainState(const NetworkSpec& network, const TrainConfig& train_config);  // fresh: weights drawn from the seed
  bool finished() const;  // all epochs of the config are done, or its patience has run out

  NetworkSpec spec;  // as the user gave it; what runs in training has its ReLUs fused
  TrainConfig config;
  std::map<std::string, std::string> about;  // the model's metadata: classes, normalisation. Carried, not read here
  Parameters parameters;
  Optimizer optimizer;
  std::vector<EpochRecord> history;  // its length is the number of finished epochs
  int best_epoch = 0;                // by validation accuracy, the earlier one where equal; 0: no validation yet
  std::vector<float> best;           // parameters.all() after best_epoch; empty where there is no validation
};

struct TrainOptions {
  std::string checkpoint;                                  // file, written after every epoch; empty: none
  core::Progress* progress = nullptr;                      // null: silent
  std::function<void(int64_t step, double loss)> on_step;  // for tests; may be empty
  const Model* teacher = nullptr;                          // where the config distills; read when the Trainer is made
};

class Trainer {
 public:
  Trainer(TrainState& state, const TrainOptions& options);
  ~Trainer();

  // Trains until the last epoch, or until patience runs out. validation may be null. Afterwards the parameters are
  // those of the best epoch where there is a validation split. Throws Error before the first step where check_batches()
  // does (a finished() state is not checked), and where the loss is no number any more; the last checkpoint
  // stays.
  void run(BatchSource& train, BatchSource* validation);

 private:
  EpochRecord run_epoch(BatchSource& train);
  void judge(EpochRecord& record, BatchSource& validation);

  TrainState& state_;
  TrainOptions options_;
  NetworkSpec fused_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Teacher> teacher_;  // null: nothing is distilled
  double around_epoch_ = 0;           // seconds of the last epoch that were not training: validation, checkpoint
};

}  // namespace fdi::nn
