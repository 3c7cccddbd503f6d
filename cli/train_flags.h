// The flags of `fastdeepiot train`, and the TrainConfig that they ask for. Called by train.cc.
#pragma once
#include <string>

#include "cli/options.h"
#include "nn/train_config.h"

namespace fdi::cli {

struct TrainFlags {
  CommonOptions common;
  std::string zoo, spec;  // one of them, unless --resume
  double width = 1;
  std::string data = "cifar10";
  std::string out;
  bool resume = false;
  int epochs = 10, batch = 128, patience = 0;
  double lr = 0.1, weight_decay = 5e-4, momentum = 0.9, warm_up = 0;
  std::string optimizer = "sgd", schedule = "one-cycle", augment = "on";
  double validation = 0;
  int64_t limit = 0;
  int image_size = 0;
};

void add_train_flags(CLI::App& command, TrainFlags& flags);
// `config` with every flag that was given on the command line; a fresh run starts from TrainConfig{}, a resumed one
// from what its checkpoint holds. Throws Error for a value out of range.
nn::TrainConfig apply_flags(const CLI::App& command, const TrainFlags& flags, nn::TrainConfig config);

}  // namespace fdi::cli
