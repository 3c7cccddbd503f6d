// What a `compress` run writes: RUN/result.json, which `report` reads and --json copies.
#pragma once
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/compress_flags.h"
#include "compress/verify.h"

namespace fdi::cli {

struct CompressResult {
  const CompressFlags& flags;
  const compress::SearchState& state;  // its history is empty where nothing was searched
  const nn::TrainConfig& tuning;
  const ChosenTimeModel* time_model;  // null: none
  const nn::Model& original;
  const nn::Model& small;
  const std::vector<compress::Candidate>& candidates;
  double accuracy, accuracy_original;  // on the test images
  const nlohmann::json& compared;      // of before_after_json
  bool by_clock;                       // see CompressRun
  const std::string& missed;           // budgets that do not hold, as a text; empty: none
  int64_t train_images;
  double seconds;  // of this command
};
nlohmann::json compress_result_to_json(const CompressResult& result);

// The program and its arguments as they were typed, quoted where a shell needs it.
std::string command_line();

// Candidates, to choose again from without measuring anew.
nlohmann::json candidates_to_json(const std::vector<compress::Candidate>& candidates, const nn::UnitGroups& groups);
std::vector<compress::Candidate> candidates_from_json(const nlohmann::json& json, const nn::NetworkSpec& spec,
                                                      const nn::UnitGroups& groups, const std::string& where);

}  // namespace fdi::cli
