#include "cli/rounds_file.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/spec.h"

namespace fdi::cli {
namespace {

using nlohmann::json;
constexpr const char* kRounds = "rounds";  // metadata key

}  // namespace

void save_rounds(const std::string& path, const Rounds& rounds) {
  json list = json::array();
  for (const compress::PruneRound& r : rounds.pruned.rounds)
    list.push_back({{"budget", r.budget}, {"cost", r.cost}, {"widths", r.widths}});
  const json about = {{"rounds", list},
                      {"keep", rounds.pruned.keep.units},
                      {"max_ms", rounds.max_ms},
                      {"accuracies", rounds.accuracies}};
  const nn::Model& model = rounds.pruned.model;
  std::map<std::string, std::string> metadata = model.metadata;
  metadata[kRounds] = about.dump();
  nn::save_model(path, model.spec, model.parameters, metadata);
}

Rounds load_rounds(const std::string& path) {
  Rounds rounds{compress::unpruned(nn::load_model(path)), 0, {}};
  try {
    auto& metadata = rounds.pruned.model.metadata;
    const json there = nn::parse_json(metadata.at(kRounds), path);
    metadata.erase(kRounds);
    rounds.pruned.keep.units = there.at("keep");
    rounds.max_ms = there.at("max_ms");
    rounds.accuracies = there.at("accuracies").get<std::vector<double>>();
    for (const json& r : there.at("rounds"))
      rounds.pruned.rounds.push_back({r.at("budget"), r.at("cost"), r.at("widths").get<std::vector<int>>()});
  } catch (const std::exception& e) {
    core::fail("{}: is no checkpoint of rounds ({}); remove it, and --resume begins them anew", path, e.what());
  }
  return rounds;
}

}  // namespace fdi::cli
