// The tables of a report: the same for the terminal and for the page. Called by report and report_page.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/report_experiment.h"

namespace fdi::cli {

struct Table {
  std::vector<std::string> header;             // the first column is text, the others are numbers
  std::vector<std::vector<std::string>> rows;  // as long as the header each
  size_t rule = 0;                             // a line above this row; 0: none
};

// The paper's Table 6: a column for the original and for each method's best run; its widths, then what it achieves. Of
// runs that differ in their seed alone: means and ranges.
Table methods_table(const Experiment& experiment);
// A row for the original and for every run.
Table runs_table(const Experiment& experiment);
// What was measured before one was chosen: a row per candidate.
Table candidates_table(const Run& run);
std::string text_of(const Table& table);

// {machine, seed, data, rows: [one object per network]}; null where runs differ.
nlohmann::json results_json(const std::vector<Experiment>& experiments);

// "1.25 M"; "81.90%"; "-" for none.
std::string in_millions(int64_t value);
std::string percent(const std::optional<double>& part);
std::string milliseconds(const std::optional<double>& ms);

}  // namespace fdi::cli
