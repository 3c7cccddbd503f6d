// The per-class result of an evaluation, as a table for people and as JSON. Called by `eval` and `train`.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "nn/evaluate.h"

namespace fdi::cli {

std::string class_table(const nn::Evaluation& evaluation, const std::vector<std::string>& classes);
// [{name, examples, correct, accuracy, mistaken_for}]; mistaken_for is the class most often predicted instead, or null.
nlohmann::json classes_to_json(const nn::Evaluation& evaluation, const std::vector<std::string>& classes);

}  // namespace fdi::cli
