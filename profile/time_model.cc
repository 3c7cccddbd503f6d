#include "profile/time_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/threads.h"
#include "nn/layer.h"
#include "profile/json_fields.h"
#include "profile/op_model.h"

namespace fdi::profile {
namespace {

constexpr const char* kFormat = "fastdeepiot time model";
constexpr int kModelVersion = 2;

}  // namespace

TimeModel TimeModel::fit(const SampleSet& set, const FitOptions& options) {
  if (set.samples.empty()) core::fail("no samples to fit a time model to; profile the device first");
  if (!(options.held_out >= 0 && options.held_out < 1))
    core::fail("held-out share {}, want at least 0 and less than 1", options.held_out);
  std::map<nn::Op, std::vector<const Sample*>> by_op;
  for (const Sample& sample : set.samples) by_op[sample.component.layer.op].push_back(&sample);
  TimeModel model;
  model.device_ = set.device;
  for (const auto& [op, samples] : by_op)
    if (std::ssize(samples) < options.least_samples()) model.too_few_[op] = static_cast<int>(samples.size());
  std::erase_if(by_op, [&](const auto& item) { return model.too_few_.contains(item.first); });
  if (by_op.empty()) {
    const auto [op, count] =
        *std::ranges::max_element(model.too_few_, {}, [](const auto& item) { return item.second; });
    core::fail("{}: {} samples, want at least {} to fit a time model; profile more of them", nn::op_name(op), count,
               options.least_samples());
  }
  // Side by side; of several that fail the first op's error is told.
  const std::vector<std::pair<nn::Op, std::vector<const Sample*>>> ops(by_op.begin(), by_op.end());
  std::vector<std::shared_ptr<const OpModel>> fitted(ops.size());
  std::vector<std::exception_ptr> failed(ops.size());
#pragma omp parallel for schedule(dynamic) num_threads(std::min(core::threads(), static_cast <int>(ops.size())))
  for (size_t i = 0; i < ops.size(); ++i) {
    try {
      fitted[i] = std::make_shared<const OpModel>(OpModel::fit(ops[i].first, ops[i].second, options));
    } catch (...) {
      failed[i] = std::current_exception();
    }
  }
  for (const std::exception_ptr& error : failed)
    if (error) std::rethrow_exception(error);
  for (size_t i = 0; i < ops.size(); ++i) model.ops_[ops[i].first] = std::move(fitted[i]);
  return model;
}

TimeModel TimeModel::from_json(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object() || !json.contains("format") || json["format"] != kFormat)
    core::fail("{}: is no time model, as `fastdeepiot fit --out` writes it (\"format\" is not \"{}\")", where, kFormat);
  if (number_field(json, "version", where, 0) != kModelVersion)
    core::fail("{}: version {}, this program reads {}; fit the model anew", where, json["version"].dump(),
               kModelVersion);
  TimeModel model;
  model.device_ = device::identity_from_json(field(json, "device", where), where);
  const nlohmann::json& ops = field(json, "ops", where);
  if (!ops.is_object() || ops.empty()) core::fail("{}: \"ops\" holds no models; fit the model anew", where);
  for (const auto& [name, op_json] : ops.items()) {
    const nn::OpInfo* found = nullptr;
    for (const nn::OpInfo* info : nn::all_ops())
      if (name == info->name) found = info;
    if (found == nullptr) core::fail("{}: unknown op {}", where, nlohmann::json(name).dump());
    model.ops_[found->op] = std::make_shared<const OpModel>(OpModel::from_json(found->op, op_json, where));
  }
  return model;
}

nlohmann::json TimeModel::to_json() const {
  nlohmann::json ops = nlohmann::json::object();
  for (const auto& [op, model] : ops_) ops[std::string(nn::op_name(op))] = model->to_json();
  return {{"format", kFormat},
          {"version", kModelVersion},
          {"device", device::identity_to_json(device_)},
          {"ops", std::move(ops)}};
}

const OpModel& TimeModel::op(nn::Op op) const {
  const auto found = ops_.find(op);
  if (found == ops_.end()) core::fail("the time model knows no {}; profile it too and fit anew", nn::op_name(op));
  return *found->second;
}

Prediction TimeModel::predict(const device::Component& component) const {
  return op(component.layer.op).predict(component);
}

double TimeModel::predict_us(const device::Component& component) const {
  return op(component.layer.op).predict_us(structure_of(component));
}

std::map<nn::Op, OpQuality> TimeModel::quality() const {
  std::map<nn::Op, OpQuality> quality;
  for (const auto& [op, model] : ops_) quality[op] = model->quality();
  return quality;
}

std::string TimeModel::rules() const {
  std::string text;
  for (const auto& [op, model] : ops_) {
    if (!text.empty()) text += '\n';
    text += model->rules();
  }
  return text;
}

std::string TimeModel::dot(nn::Op op) const { return this->op(op).tree().dot(); }

NetworkPrediction predict_network(const TimeModel& model, const nn::NetworkSpec& spec) {
  NetworkPrediction network;
  for (const device::Component& component : device::components(spec)) {
    network.layers.push_back({component.layer.name, model.predict(component)});
    network.total_us += network.layers.back().prediction.us;
  }
  return network;
}

}  // namespace fdi::profile
