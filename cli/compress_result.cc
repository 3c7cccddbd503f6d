#include "cli/compress_result.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "cli/before_after.h"
#include "compress/knapsack.h"
#include "core/error.h"

namespace fdi::cli {
namespace {

using nlohmann::json;

json null_below_zero(double value) { return value < 0 ? json() : json(value); }

json history_to_json(const CompressResult& r) {
  json history = json::array();
  for (const compress::StageRecord& record : r.state.history) {
    json stage = stage_to_json(record);
    stage["widths"] = widths_to_json(nn::with_widths(r.original.spec, r.state.groups, record.widths));
    stage["threshold"] = null_below_zero(record.threshold);
    stage["accuracy"] = null_below_zero(record.accuracy);
    stage["predicted_ms"] = null_below_zero(record.predicted_ms);
    history.push_back(std::move(stage));
  }
  return history;
}

json measured_to_json(const CompressResult& r) {
  json candidates = json::array();
  for (const compress::Candidate& c : r.candidates)
    if (c.measured_ms > 0)
      candidates.push_back(
          {{"predicted_ms", c.predicted_ms},
           {"measured_ms", c.measured_ms},
           {"widths", widths_to_json(nn::with_widths(r.original.spec, r.state.groups, widths_of(c.keep)))},
           {"chosen", c.chosen}});
  return candidates;
}

// All that decides the numbers but the data, which stand beside it.
json recipe_to_json(const CompressResult& r) {
  json recipe = {{"search", search_config_to_json(r.state.config)}, {"fine_tune", config_to_json(r.tuning)}};
  for (json& part : recipe) part.erase("data");
  if (r.time_model != nullptr) recipe["time_model"] = time_model_digest(r.time_model->model);
  recipe["choose_by"] = r.by_clock ? "clock" : "model";
  if (r.state.config.rounds > 0) recipe["rounds_lr"] = compress::PruneTraining{}.lr;
  return recipe;
}

// Images that each stage trained on, repetitions counted: what methods are to be compared by.
json images_seen(const CompressResult& r, bool unchanged) {
  const compress::SearchConfig& c = r.state.config;
  const int64_t batches = c.by_slopes ? 1 : 2;  // of an iteration: the compressor's is a fresh one
  return {{"search", batches * r.state.iteration * c.batch},
          {"rounds", unchanged ? 0 : int64_t{c.rounds} * c.stage_steps * c.batch},
          {"fine_tune", unchanged ? 0 : int64_t{r.tuning.epochs} * r.train_images}};
}

}  // namespace

std::string command_line() {
  std::string text;
  std::ifstream words("/proc/self/cmdline");  // words end in a zero each
  const std::string raw{std::istreambuf_iterator<char>(words), {}};
  for (size_t at = 0; at < raw.size();) {
    const std::string word = raw.substr(at, raw.find('\0', at) - at);
    at += word.size() + 1;
    const bool plain = !word.empty() && word.find_first_of(" \t\n'\"\\$`&|;<>()*?[]#~!{}") == std::string::npos;
    text += (text.empty() ? "" : " ");
    if (plain) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char c : word) text += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
    text += '\'';
  }
  return text;
}

json compress_result_to_json(const CompressResult& r) {
  const json& c = r.compared;
  const bool unchanged = model_digest(r.small) == model_digest(r.original);
  json outside = json::array();
  if (r.time_model != nullptr) outside = outside_scope(profile::predict_network(r.time_model->model, r.small.spec));
  json result = {{"method", r.flags.method},
                 {"name", method_title(r.flags.method)},
                 {"target", target_text(r.state.config)},
                 {"accuracy", r.accuracy},
                 {"accuracy_original", r.accuracy_original},
                 {"seed", r.state.config.seed},
                 {"command", command_line()},
                 {"machine", c["machine"]},
                 {"engine", c["engine"]},
                 {"threads", c["threads"]},
                 {"isa", c["isa"]},
                 {"data", r.state.config.data},
                 {"recipe", recipe_to_json(r)},
                 {"seconds", r.seconds},
                 {"forced", r.time_model != nullptr && r.time_model->forced()},
                 {"missed", r.missed},
                 {"unchanged", unchanged},
                 {"model_digest", model_digest(r.small)},
                 {"images_seen", images_seen(r, unchanged)},
                 {"outside_scope", std::move(outside)},
                 {"layers", c["layers"]},
                 {"history", history_to_json(r)},
                 {"candidates", measured_to_json(r)}};
  result.update(result_fields(c));
  return result;
}

json choice_to_json(const Choice& choice, const nn::UnitGroups& groups) {
  json candidates = json::array();
  for (const compress::Candidate& c : choice.candidates)
    candidates.push_back({{"keep", keep_to_json(c.keep, groups)},
                          {"predicted_ms", c.predicted_ms},
                          {"measured_ms", c.measured_ms},
                          {"chosen", c.chosen}});
  json out = {{"whole", choice.whole}, {"candidates", std::move(candidates)}};
  if (choice.by_clock) out["by_clock"] = *choice.by_clock;
  return out;
}

Choice choice_from_json(const json& object, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                        const std::string& where) {
  Choice choice;
  try {
    const bool earlier = object.is_array();
    for (const json& c : earlier ? object : object.at("candidates"))
      choice.candidates.push_back({compress::keep_from_json(c.at("keep"), spec, groups, where), c.at("predicted_ms"),
                                   c.at("measured_ms"), c.at("chosen")});
    if (std::ranges::none_of(choice.candidates, &compress::Candidate::chosen))
      core::fail("{}: no structure of it is chosen; remove it, and the structure is chosen anew", where);
    if (!earlier) {
      choice.whole = object.at("whole");
      if (object.contains("by_clock")) choice.by_clock = object.at("by_clock").get<bool>();
      return choice;
    }
    // A choice by the clock has measured times, but for the whole network, which then was kept untimed.
    const compress::Candidate& first = choice.candidates.front();
    choice.whole = first.measured_ms <= 0 && first.keep == compress::keep_all(groups);
    if (!choice.whole) choice.by_clock = first.measured_ms > 0;
  } catch (const json::exception& e) {
    core::fail("{}: is not as this program writes it: {}; remove it, and the structure is chosen anew", where,
               e.what());
  }
  return choice;
}

}  // namespace fdi::cli
