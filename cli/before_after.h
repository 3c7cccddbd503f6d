// A network before and after a change of its widths: what `shrink`, `expand` and `compress` measure,
// print and write.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/time_model_choice.h"
#include "nn/model_file.h"
#include "profile/time_model.h"

namespace fdi::cli {

constexpr int kComparedExamples = 8;  // random inputs on which the outputs of two models are compared

struct BeforeAfter {
  const nn::Model& before;
  const nn::Model& after;
  const AsTimed& timed;                            // times both
  const profile::TimeModel* time_model = nullptr;  // predicts both; none: predicted is null
  std::optional<double> max_difference = {};       // of the outputs, see compress/shrink.h; none: not meant to be equal
  const char* compared_with = "";                  // " from ...", where that is not `before`
};

// Times both here, in turn: {before_ms: {measured, predicted}, after_ms, widths, widths_before, parameters, flops,
// peak_memory_mib, ..., layers: [{name, before_us, after_us}] as predicted, max_abs_output_difference, machine, engine,
// threads, isa: of the device whose times they are}.
nlohmann::json measure_before_after(const BeforeAfter& pair);
// The same of times that were taken: of the two, or none: measured is null, and the device is the time model's.
nlohmann::json before_after_json(const BeforeAfter& pair, const std::vector<profile::NetworkTiming>& times);
// Of that, what result.json holds by other names: {predicted_ms, predicted_ms_original, ..., widths, widths_original}.
nlohmann::json result_fields(const nlohmann::json& compared);
std::string before_after_text(const BeforeAfter& pair, const nlohmann::json& result);

// {"conv1_1": 64, ...}: units of every layer that has some.
nlohmann::json widths_to_json(const nn::NetworkSpec& spec);
// Of widths and weights: tells which network another was made from.
std::string model_digest(const nn::Model& model);
// Of all that it predicts by.
std::string time_model_digest(const profile::TimeModel& model);
// Of inference with batch 1 on core::threads() threads: weights, planned activations and scratch.
double peak_memory_mib(const nn::NetworkSpec& spec);

}  // namespace fdi::cli
