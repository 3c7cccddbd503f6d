// TrainConfig and EpochRecord to and from JSON, see train_config.h.
#include "nn/train_config.h"

#include <cmath>
#include <limits>

#include "core/error.h"

namespace fdi::nn {

nlohmann::json config_to_json(const TrainConfig& c) {
  return {{"epochs", c.epochs},
          {"batch", c.batch},
          {"lr", c.lr},
          {"optimizer", optimizer_to_json(c.optimizer)},
          {"schedule", schedule_to_json(c.schedule)},
          {"distill", {{"weight", c.distill.weight}, {"temperature", c.distill.temperature}}},
          {"seed", c.seed},
          {"patience", c.patience},
          {"data", c.data}};
}

TrainConfig config_from_json(const nlohmann::json& json) {
  TrainConfig c;
  c.epochs = json.value("epochs", c.epochs);
  c.batch = json.value("batch", c.batch);
  c.lr = json.value("lr", c.lr);
  if (json.contains("optimizer")) c.optimizer = optimizer_from_json(json["optimizer"]);
  if (json.contains("schedule")) c.schedule = schedule_from_json(json["schedule"]);
  if (json.contains("distill")) {
    c.distill.weight = json["distill"].value("weight", c.distill.weight);
    c.distill.temperature = json["distill"].value("temperature", c.distill.temperature);
  }
  c.seed = json.value("seed", c.seed);
  c.patience = json.value("patience", c.patience);
  if (json.contains("data")) c.data = json["data"];
  if (c.epochs < 1) core::fail("epochs is {}; wanted 1 or more", c.epochs);
  if (c.batch < 1) core::fail("batch is {}; wanted 1 or more", c.batch);
  if (!(c.lr > 0) || !std::isfinite(c.lr)) core::fail("lr is {}; wanted more than 0", c.lr);
  const auto& [weight, temperature] = c.distill;
  if (!(weight >= 0 && weight <= 1)) core::fail("the weight of distillation is {}; wanted 0 (none) to 1", weight);
  if (!(temperature > 0) || !std::isfinite(temperature))
    core::fail("the temperature of distillation is {}; wanted more than 0", temperature);
  if (c.patience < 0) core::fail("patience is {}; wanted 0 (off) or more", c.patience);
  return c;
}

std::string config_difference(const TrainConfig& now, const TrainConfig& before) {
  const nlohmann::json a = config_to_json(now).flatten(), b = config_to_json(before).flatten();
  nlohmann::json keys = a;
  keys.update(b);
  std::string text;
  for (const auto& [key, unused] : keys.items()) {
    const nlohmann::json got = a.value(key, nlohmann::json()), was = b.value(key, nlohmann::json());
    if (got == was) continue;
    std::string name = key.substr(1);  // "/optimizer/kind"
    for (char& c : name)
      if (c == '/') c = '.';
    if (!text.empty()) text += "; ";
    text += fmt::format("{} is {}, was {}", name, got.is_null() ? "not set" : got.dump(),
                        was.is_null() ? "not set" : was.dump());
  }
  return text;
}

nlohmann::json record_to_json(const EpochRecord& r) {
  nlohmann::json json = {{"epoch", r.epoch},       {"lr", r.lr},           {"loss", r.loss},
                         {"accuracy", r.accuracy}, {"seconds", r.seconds}, {"images_per_s", r.images_per_s}};
  if (r.validation_accuracy) {
    json["validation_loss"] = r.validation_loss;
    json["validation_accuracy"] = *r.validation_accuracy;
  }
  return json;
}

// JSON has no NaN and writes null for it: the validation loss of an epoch may be one, and the run goes on.
static double number_or_nan(const nlohmann::json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

EpochRecord record_from_json(const nlohmann::json& json) {
  EpochRecord r;
  r.epoch = json.at("epoch");
  r.lr = json.at("lr");
  r.loss = json.at("loss");
  r.accuracy = json.at("accuracy");
  r.seconds = json.at("seconds");
  r.images_per_s = json.at("images_per_s");
  if (json.contains("validation_accuracy")) {
    r.validation_loss = number_or_nan(json.at("validation_loss"));
    r.validation_accuracy = json.at("validation_accuracy").get<double>();
  }
  return r;
}

}  // namespace fdi::nn
