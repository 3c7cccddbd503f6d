// The search's settings as JSON, and its checkpoint: one safetensors file, the critic's weights under their own names.
#include <algorithm>

#include "compress/search.h"
#include "core/error.h"

namespace fdi::compress {
namespace {

using nlohmann::json;
constexpr const char* kState = "search";  // metadata key, by which nn::load_model knows a checkpoint
constexpr const char* kCompressor = "search:compressor";
constexpr const char* kCriticState = "search:critic.";
constexpr const char* kCompressorState = "search:compressor.";

core::ConstTensor flat(std::span<const float> values) {
  return {values.data(), core::Shape{static_cast<int>(values.size())}};
}

void copy_flat(const nn::TensorFile& file, const std::string& name, std::span<float> to, const std::string& path) {
  const nn::TensorFile::Entry* from = file.find(name);
  if (from == nullptr || from->values.size() != static_cast<int64_t>(to.size()))
    core::fail("{}: tensor {} is missing or has the wrong size; wanted {} values", path, name, to.size());
  std::copy_n(from->values.data, to.size(), to.data());
}

StageRecord record_from_json(const json& j) {
  return {j.at("iteration"), j.at("threshold"), j.at("widths"),       j.at("size"),  j.at("cost"),
          j.at("loss"),      j.at("accuracy"),  j.at("predicted_ms"), j.at("lambda")};
}

void check(const char* what, double value, bool ok, const char* want) {
  if (!ok) core::fail("compression: {} is {}; wanted {}", what, value, want);
}

}  // namespace

json stage_to_json(const StageRecord& r) {
  return {{"iteration", r.iteration}, {"threshold", r.threshold},
          {"widths", r.widths},       {"size", r.size},
          {"cost", r.cost},           {"loss", r.loss},
          {"accuracy", r.accuracy},   {"predicted_ms", r.predicted_ms},
          {"lambda", r.lambda}};
}

json search_config_to_json(const SearchConfig& c) {
  return {{"batch", c.batch},
          {"critic_lr", c.critic_lr},
          {"weight_decay", c.weight_decay},
          {"compressor_lr", c.compressor_lr},
          {"stage_steps", c.stage_steps},
          {"start", c.start},
          {"threshold_start", c.threshold_start},
          {"threshold_step", c.threshold_step},
          {"threshold_end", c.threshold_end},
          {"beta", c.beta},
          {"average", c.average},
          {"lambda", c.lambda},
          {"find_lambda", c.find_lambda},
          {"by_slopes", c.by_slopes},
          {"cost_as_reward", c.cost_as_reward},
          {"rounds", c.rounds},
          {"target_size", c.target_size},
          {"max_ms", c.max_ms},
          {"max_mb", c.max_mb},
          {"seed", c.seed},
          {"data", c.data}};
}

SearchConfig search_config_from_json(const json& j) {
  SearchConfig c;
  c.batch = j.value("batch", c.batch);
  c.critic_lr = j.value("critic_lr", c.critic_lr);
  c.weight_decay = j.value("weight_decay", c.weight_decay);
  c.compressor_lr = j.value("compressor_lr", c.compressor_lr);
  c.stage_steps = j.value("stage_steps", c.stage_steps);
  c.start = j.value("start", c.start);
  c.threshold_start = j.value("threshold_start", c.threshold_start);
  c.threshold_step = j.value("threshold_step", c.threshold_step);
  c.threshold_end = j.value("threshold_end", c.threshold_end);
  c.beta = j.value("beta", c.beta);
  c.average = j.value("average", c.average);
  c.lambda = j.value("lambda", c.lambda);
  c.find_lambda = j.value("find_lambda", c.find_lambda);
  c.by_slopes = j.value("by_slopes", c.by_slopes);
  c.cost_as_reward = j.value("cost_as_reward", c.cost_as_reward);
  c.rounds = j.value("rounds", c.rounds);
  c.target_size = j.value("target_size", c.target_size);
  c.max_ms = j.value("max_ms", c.max_ms);
  c.max_mb = j.value("max_mb", c.max_mb);
  c.seed = j.value("seed", c.seed);
  c.data = j.value("data", c.data);
  check("batch", c.batch, c.batch >= 1, "1 or more");
  check("critic_lr", c.critic_lr, c.critic_lr > 0, "more than 0");
  check("compressor_lr", c.compressor_lr, c.compressor_lr > 0, "more than 0");
  check("stage_steps", c.stage_steps, c.stage_steps >= 1, "1 or more");
  check("threshold_step", c.threshold_step, c.threshold_step > 0 && c.threshold_step <= 1, "0 < step <= 1");
  check("threshold_end", c.threshold_end, c.threshold_end > 0 && c.threshold_end <= 1, "0 < end <= 1");
  check("threshold_start", c.threshold_start, c.threshold_start >= 0 && c.threshold_start <= c.threshold_end,
        "0 <= start <= threshold_end");
  check("start", c.start, c.start > 0 && c.start < 1, "0 < start < 1");
  check("beta", c.beta, c.beta >= 0 && c.beta <= 1, "0 to 1");
  check("average", c.average, c.average >= 0 && c.average < 1, "0 <= average < 1");
  check("lambda", c.lambda, c.lambda >= 0, "0 or more");
  check("rounds", c.rounds, c.rounds >= 0 && c.rounds <= 1000, "0 (none) to 1000");
  check("target_size", c.target_size, c.target_size >= 0 && c.target_size < 1, "0 (none) to below 1");
  check("max_ms", c.max_ms, c.max_ms >= 0, "0 (none) or more");
  check("max_mb", c.max_mb, c.max_mb >= 0, "0 (none) or more");
  return c;
}

void save_search(const std::string& path, SearchState& state) {
  nn::TensorFile file;
  file.metadata = state.model.metadata;
  file.metadata["network"] = nn::spec_to_json(state.model.spec).dump();
  json search = {{"config", search_config_to_json(state.config)},
                 {"iteration", state.iteration},
                 {"critic_steps", state.critic_optimizer.steps()},
                 {"compressor_steps", state.compressor_optimizer.steps()},
                 {"mean", state.mean},
                 {"deviation", state.deviation},
                 {"dual", state.dual},
                 {"history", json::array()}};
  for (const StageRecord& record : state.history) search["history"].push_back(stage_to_json(record));
  file.metadata[kState] = search.dump();
  for (const auto& e : state.model.parameters.entries())
    file.tensors.push_back({e.name, {state.model.parameters.tensor(e).data, e.spec.shape}});
  file.tensors.push_back({kCompressor, flat(state.compressor.parameters().all())});
  for (const auto& s : state.critic_optimizer.state())
    file.tensors.push_back({std::string(kCriticState) + s.name, flat(s.values)});
  for (const auto& s : state.compressor_optimizer.state())
    file.tensors.push_back({std::string(kCompressorState) + s.name, flat(s.values)});
  nn::write_tensor_file(path, file);
}

SearchState load_search(const std::string& path) {
  nn::TensorFile file = nn::read_tensor_file(path);
  const auto text = [&](const char* key) {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end())
      core::fail("{}: is no checkpoint of a compression (no \"{}\" in its metadata)", path, key);
    std::string value = std::move(found->second);
    file.metadata.erase(found);
    return nn::parse_json(value, path);
  };
  const json search = text(kState);
  nn::NetworkSpec spec = nn::spec_from_json(text("network"), path);
  try {
    nn::Parameters parameters(spec);
    nn::copy_parameters(file, parameters, path);
    SearchState state({std::move(spec), std::move(parameters), std::move(file.metadata)},
                      search_config_from_json(search.at("config")));
    copy_flat(file, kCompressor, state.compressor.parameters().all(), path);
    for (const auto& s : state.critic_optimizer.state())
      copy_flat(file, std::string(kCriticState) + s.name, s.values, path);
    for (const auto& s : state.compressor_optimizer.state())
      copy_flat(file, std::string(kCompressorState) + s.name, s.values, path);
    state.iteration = search.at("iteration");
    state.critic_optimizer.set_steps(search.at("critic_steps"));
    state.compressor_optimizer.set_steps(search.at("compressor_steps"));
    state.mean = search.at("mean");
    state.deviation = search.at("deviation");
    state.dual = search.at("dual");
    for (const json& record : search.at("history")) state.history.push_back(record_from_json(record));
    return state;
  } catch (const json::exception& e) {
    core::fail("{}: \"{}\" in its metadata is not as this program writes it: {}", path, kState, e.what());
  }
}

}  // namespace fdi::compress
