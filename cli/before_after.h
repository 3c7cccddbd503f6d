// A network before and after a change of its widths: what `shrink` and `expand` measure, print and write.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "nn/model_file.h"
#include "nn/unit_groups.h"

namespace fdi::cli {

struct BeforeAfter {
  const nn::Model& before;
  const nn::Model& after;
  std::string engine = "native";
  std::optional<double>
      max_difference{};  // of the outputs, see compress/shrink.h; none: they are not meant to be equal
};

// Times both here, in turn: {before_ms, after_ms, widths, parameters, flops, ..., max_abs_output_difference}.
nlohmann::json measure_before_after(const BeforeAfter& pair);
std::string before_after_text(const BeforeAfter& pair, const nlohmann::json& result);

// {"conv1_1": 64, ...}: units of every layer that has some.
nlohmann::json widths_to_json(const nn::NetworkSpec& spec);

}  // namespace fdi::cli
