// What a `compress` run writes: RUN/result.json, which `report` reads and --json copies.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
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

// What was chosen and by whom, so that a resumed run need not measure anew.
struct Choice {
  std::vector<compress::Candidate> candidates;  // one of them is chosen
  std::optional<bool> by_clock;                 // none: earlier versions' choice that does not tell
  bool whole = false;                           // the network kept its budgets already: nothing was compressed
};
// {"by_clock", "whole", "candidates": [{"keep", "predicted_ms", "measured_ms", "chosen"}]}; earlier versions have the
// list alone. Throws Error "F: ..." for what is not so.
nlohmann::json choice_to_json(const Choice& choice, const nn::UnitGroups& groups);
Choice choice_from_json(const nlohmann::json& json, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                        const std::string& where);

}  // namespace fdi::cli
