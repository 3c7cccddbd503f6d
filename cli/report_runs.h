// What a report is about: the results that runs of `compress` and `expand` left as JSON. Called by report and what it
// draws and prints.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fdi::cli {

using Widths = std::vector<std::pair<std::string, int64_t>>;  // units by layer, as the network runs where that is known

// One network: an original, or what a method made of it.
struct Design {
  std::optional<double> accuracy = {};      // 0 to 1; none: not judged
  std::optional<double> predicted_ms = {};  // none: there was no time model
  std::optional<double> measured_ms = {};   // none: nothing was timed, as for another device
  int64_t parameters = 0, flops = 0;
  double peak_memory_mib = 0;
  Widths widths = {};
  double ms() const { return measured_ms ? *measured_ms : predicted_ms.value_or(0); }
};

struct LayerTime {
  std::string name;
  double before_us = 0, after_us = 0;  // predicted
};
struct Stage {  // of a search
  double iteration = 0, size = 0;
  int64_t units = 0;  // of all layers
  std::optional<double> threshold, accuracy, predicted_ms;
};
struct Candidate {  // that was measured before one was chosen
  std::optional<double> predicted_ms;
  double measured_ms = 0;
  bool chosen = false;
};

struct Run {
  std::string file;  // of the result
  std::string name, method, target, command, machine, engine, isa, data;
  std::string settings;             // of the data: limit, augmentation, ...
  std::string recipe;               // all that decides the result but the seed; empty: not known
  std::string expansion;            // of `expand`: all that decides what it makes of a network; empty: not known
  std::string missed;               // budgets that the result does not keep; empty: none
  std::string digest, base_digest;  // of the model; of the one that was widened; empty: not known
  bool forced = false;              // for another device than the one it was made on: its times are predicted
  int64_t threads = 1, seed = 0;
  double seconds = 0;
  Design original, result;
  std::vector<LayerTime> layers;
  std::vector<Stage> history;
  std::vector<Candidate> candidates;
};

// FOLDER/result.json, FOLDER/*/result.json, FOLDER/*.result.json. Throws Error where there is none, and for one that is
// cut, lacks something or does not fit together; what others wrote under that name is left out with a note. A network
// that `expand` widened belongs to the run that it came from, on the same machine unless `any_machine`: what will be
// timed anew.
std::vector<Run> read_runs(const std::string& folder, bool any_machine);
Run run_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace fdi::cli
