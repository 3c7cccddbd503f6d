// TrainConfig: everything that decides the numbers of a training run but the network and the data themselves. Plain
// data, JSON in and out; stored in every checkpoint, and compared with the request when a run is resumed.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "nn/distill.h"
#include "nn/optimizer.h"
#include "nn/schedule.h"

namespace fdi::nn {

struct TrainConfig {
  int epochs = 10;
  int batch = 128;
  double lr = 0.1;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  uint64_t seed = 1;  // initial weights, data order, augmentation, dropout
  DistillConfig distill;
  int patience = 0;  // stop after so many epochs without a better validation accuracy; 0: never
  // How the batches are made (source, limit, augmentation, validation split ...). Carried and compared, not read here.
  nlohmann::json data = nlohmann::json::object();
};

nlohmann::json config_to_json(const TrainConfig& config);
TrainConfig config_from_json(const nlohmann::json& json);  // throws Error for a value out of range
// What differs, for people: "lr is 0.05, was 0.1; optimizer.kind is adam, was sgd". Empty where nothing does.
std::string config_difference(const TrainConfig& now, const TrainConfig& before);

// What is known of a finished epoch.
struct EpochRecord {
  int epoch = 0;            // from 1
  double lr = 0;            // of its last step
  double loss = 0;          // mean over the epoch's examples, in training (dropout on, weights changing)
  double accuracy = 0;      // likewise
  double seconds = 0;       // training alone
  double images_per_s = 0;  // likewise
  double validation_loss = 0;
  std::optional<double> validation_accuracy;  // none: no validation split; validation_loss is then meaningless
};

nlohmann::json record_to_json(const EpochRecord& record);
EpochRecord record_from_json(const nlohmann::json& json);

}  // namespace fdi::nn
