// One file holds all: the weights under their own names, beside them "best" and the optimizer's state as flat tensors,
// and in the metadata what is not numbers by the million.
#include "nn/checkpoint.h"

#include <algorithm>

#include "core/error.h"
#include "nn/model_file.h"

namespace fdi::nn {
namespace {

using nlohmann::json;
// No clash with a weight: those are called "layer.parameter".
constexpr const char* kBest = "train:best";
constexpr const char* kOptimizer = "train:optimizer.";
constexpr const char* kState = "training";  // metadata key, by which load_model knows a checkpoint

core::ConstTensor flat(std::span<const float> values) {
  return {values.data(), core::Shape{static_cast<int>(values.size())}};
}

void copy_flat(const TensorFile& file, const std::string& name, std::span<float> to, const std::string& path) {
  const TensorFile::Entry* from = file.find(name);
  if (from == nullptr || from->values.size() != static_cast<int64_t>(to.size()))
    core::fail("{}: tensor {} is missing or has the wrong size; wanted {} values", path, name, to.size());
  std::copy_n(from->values.data, to.size(), to.data());
}

// The metadata of a checkpoint as JSON, and without what is not the user's.
json take_json(std::map<std::string, std::string>& metadata, const char* key, const std::string& path) {
  const auto found = metadata.find(key);
  if (found == metadata.end())
    core::fail("{}: is no checkpoint (no \"{}\" in its metadata); give the checkpoint.safetensors of a run", path, key);
  json value = parse_json(found->second, fmt::format("{}: metadata {}", path, key));
  metadata.erase(found);
  return value;
}

}  // namespace

void save_checkpoint(const std::string& path, TrainState& state) {
  TensorFile file;
  file.metadata = state.about;
  file.metadata["network"] = spec_to_json(state.spec).dump();
  json training = {{"config", config_to_json(state.config)},
                   {"steps", state.optimizer.steps()},
                   {"best_epoch", state.best_epoch},
                   {"history", json::array()}};
  for (const EpochRecord& record : state.history) training["history"].push_back(record_to_json(record));
  file.metadata[kState] = training.dump();
  for (const Parameters::Entry& e : state.parameters.entries())
    file.tensors.push_back({e.name, {state.parameters.tensor(e).data, e.spec.shape}});
  for (const Optimizer::State& s : state.optimizer.state())
    file.tensors.push_back({std::string(kOptimizer) + s.name, flat(s.values)});
  if (!state.best.empty()) file.tensors.push_back({kBest, flat(state.best)});
  write_tensor_file(path, file);
}

TrainState load_checkpoint(const std::string& path) {
  TensorFile file = read_tensor_file(path);
  const json training = take_json(file.metadata, kState, path);
  const json network = take_json(file.metadata, "network", path);
  try {
    TrainState state(spec_from_json(network, path), config_from_json(training.at("config")));
    copy_parameters(file, state.parameters, path);
    for (const Optimizer::State& s : state.optimizer.state())
      copy_flat(file, std::string(kOptimizer) + s.name, s.values, path);
    state.optimizer.set_steps(training.at("steps"));
    state.best_epoch = training.at("best_epoch");
    for (const json& record : training.at("history")) state.history.push_back(record_from_json(record));
    if (state.best_epoch < 0 || state.best_epoch > static_cast<int>(state.history.size()))
      core::fail("{}: best epoch {} of {}; the file is damaged", path, state.best_epoch, state.history.size());
    if (state.best_epoch > 0) {
      state.best.resize(state.parameters.all().size());
      copy_flat(file, kBest, state.best, path);
    }
    state.about = std::move(file.metadata);
    return state;
  } catch (const json::exception& e) {
    core::fail("{}: \"{}\" in its metadata is not as this program writes it: {}", path, kState, e.what());
  }
}

void check_resumable(const std::string& path, const TrainState& before, const NetworkSpec& spec,
                     const TrainConfig& config) {
  const auto refuse = [&](const std::string& difference) {
    core::fail("{}: cannot resume: {}; ask for the same again, or start a new run in another folder", path, difference);
  };
  if (const std::string difference = config_difference(config, before.config); !difference.empty()) refuse(difference);
  if (spec == before.spec) return;
  const size_t common = std::min(spec.layers.size(), before.spec.layers.size());
  for (size_t i = 0; i < common; ++i)
    if (!(spec.layers[i] == before.spec.layers[i]))
      refuse(
          fmt::format("the network differs at {}, was {}", describe(spec.layers[i]), describe(before.spec.layers[i])));
  refuse(fmt::format("the network is {} with {} layers and input {}, was {} with {} and {}", spec.name,
                     spec.layers.size(), core::to_string(spec.input), before.spec.name, before.spec.layers.size(),
                     core::to_string(before.spec.input)));
}

}  // namespace fdi::nn
