#include "cli/report_tables.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

namespace fdi::cli {
namespace {

using nlohmann::json;

using Number = std::optional<double>;

// Of the original, or of the seeds of a method's best run.
struct Column {
  std::string name, target, seeds;
  std::vector<const Design*> designs;
};

Number units_of(const Design& design, const std::string& layer) {
  const auto width = std::ranges::find(design.widths, layer, &Widths::value_type::first);
  return width == design.widths.end() ? Number() : Number(width->second);
}

Number ratio(const Number& a, const Number& b) { return a && b ? Number(*a / *b) : Number(); }

std::string in_hundredths(const Number& value) { return value ? fmt::format("{:.2f}", *value) : "-"; }
std::string millions(const Number& value) { return value ? in_millions(std::llround(*value)) : "-"; }

// What a design achieves, in the words of both tables.
struct Quantity {
  const char* name;
  std::function<Number(const Design& design, const Design& original)> value;
  std::function<std::string(const Number& value)> text;
};
const std::vector<Quantity>& quantities() {
  static const std::vector<Quantity> all = {
      {"test accuracy", [](const Design& d, const Design&) { return d.accuracy; }, percent},
      {"predicted ms", [](const Design& d, const Design&) { return d.predicted_ms; }, milliseconds},
      {"measured ms", [](const Design& d, const Design&) { return d.measured_ms; }, milliseconds},
      {"predicted / measured", [](const Design& d, const Design&) { return ratio(d.predicted_ms, d.measured_ms); },
       in_hundredths},
      {"times as fast",
       [](const Design& d, const Design& original) {
         return d.measured_ms ? ratio(original.measured_ms, d.measured_ms)
                              : ratio(original.predicted_ms, d.predicted_ms);
       },
       in_hundredths},
      {"parameters", [](const Design& d, const Design&) { return Number(d.parameters); }, millions},
      {"FLOPs", [](const Design& d, const Design&) { return Number(d.flops); }, millions},
      {"peak memory, MiB", [](const Design& d, const Design&) { return Number(d.peak_memory_mib); }, in_hundredths}};
  return all;
}

// "0.31", of several designs the mean and the range: "0.31 (0.29 to 0.34)".
template <class ValueOf, class Text>
std::string spread(const Column& column, ValueOf value_of, Text text) {
  std::vector<double> values;
  for (const Design* design : column.designs)
    if (const Number value = value_of(*design)) values.push_back(*value);
  if (values.empty()) return "-";
  const auto [least, most] = std::ranges::minmax(values);
  if (text(least) == text(most)) return text(least);
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return fmt::format("{} ({} to {})", text(mean), text(least), text(most));
}

std::string target_of(const Run& run) { return run.target + (run.missed.empty() ? "" : ", missed"); }

json widths_json(const Design& design) {
  json widths = json::object();
  for (const auto& [layer, units] : design.widths) widths[layer] = units;
  return widths;
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

void add_design(json& row, const Design& design, const std::string& suffix) {
  row["accuracy" + suffix] = or_null(design.accuracy);
  row["predicted_ms" + suffix] = or_null(design.predicted_ms);
  row["measured_ms" + suffix] = or_null(design.measured_ms);
  row["parameters" + suffix] = design.parameters;
  row["flops" + suffix] = design.flops;
  row["peak_memory_mib" + suffix] = design.peak_memory_mib;
  row["widths" + suffix] = widths_json(design);
}

json row_json(const std::string& method, const std::string& name, const Design& design, const Run& run) {
  json row = {{"method", method},     {"name", name},           {"machine", run.machine}, {"data", run.data},
              {"engine", run.engine}, {"threads", run.threads}, {"isa", run.isa},         {"seed", run.seed}};
  add_design(row, design, "");
  add_design(row, run.original, "_original");
  return row;
}

}  // namespace

std::string in_millions(int64_t value) { return fmt::format("{:.3g} M", static_cast<double>(value) / 1e6); }
std::string percent(const std::optional<double>& part) { return part ? fmt::format("{:.2f}%", 100 * *part) : "-"; }
std::string milliseconds(const std::optional<double>& ms) { return ms ? fmt::format("{:.3f}", *ms) : "-"; }

Table methods_table(const Experiment& experiment) {
  std::vector<Column> columns = {{"Original", "", "", {&experiment.original}}};
  for (const Run* run : best_runs(experiment)) {
    Column& column = columns.emplace_back(Column{run->name, target_of(*run), "", {}});
    const std::vector<const Run*> runs = seeds_of(experiment, *run);
    for (const Run* one : runs) column.designs.push_back(&one->result);
    const std::vector<int64_t> seeds = distinct_seeds(runs);
    column.seeds = fmt::format("{}", fmt::join(seeds, ", "));
    if (seeds.size() < runs.size()) column.seeds += fmt::format(" ({} runs)", runs.size());
  }
  Table table{{"layer"}, {}, 0};
  for (const Column& column : columns) table.header.push_back(column.name);
  const auto add = [&](const std::string& name, const auto& cell) {
    std::vector<std::string>& row = table.rows.emplace_back(1, name);
    for (const Column& column : columns) row.push_back(cell(column));
  };
  const auto whole = [](double units) { return fmt::format("{:.0f}", units); };
  for (const auto& width : experiment.original.widths)
    add(width.first, [&](const Column& c) {
      return spread(
          c, [&](const Design& d) { return units_of(d, width.first); }, whole);
    });
  table.rule = table.rows.size();
  for (const Quantity& quantity : quantities())
    add(quantity.name, [&](const Column& c) {
      return spread(
          c, [&](const Design& d) { return quantity.value(d, experiment.original); }, quantity.text);
    });
  add("target", [](const Column& c) { return c.target; });
  add("seed", [](const Column& c) { return c.seeds; });
  return table;
}

Table runs_table(const Experiment& experiment) {
  Table table{{"method", "target"}, {}, 0};
  for (const Quantity& quantity : quantities()) table.header.emplace_back(quantity.name);
  table.header.emplace_back("seed");
  const auto add = [&](const std::string& name, const std::string& target, const Design& design,
                       const std::string& seed) {
    std::vector<std::string>& row = table.rows.emplace_back(std::vector{name, target});
    for (const Quantity& quantity : quantities())
      row.push_back(quantity.text(quantity.value(design, experiment.original)));
    row.push_back(seed);
  };
  add("Original", "", experiment.original, "");
  for (const Run& run : experiment.runs) add(run.name, target_of(run), run.result, std::to_string(run.seed));
  return table;
}

Table candidates_table(const Run& run) {
  Table table{{"candidate", "predicted ms", "measured ms", "predicted / measured", "chosen"}, {}, 0};
  for (const Candidate& candidate : run.candidates) {
    table.rows.push_back({std::to_string(table.rows.size() + 1), milliseconds(candidate.predicted_ms),
                          milliseconds(candidate.measured_ms),
                          in_hundredths(ratio(candidate.predicted_ms, candidate.measured_ms)),
                          candidate.chosen ? "yes" : ""});
  }
  return table;
}

std::string text_of(const Table& table) {
  std::vector<size_t> width;
  for (const std::string& name : table.header) width.push_back(name.size());
  for (const auto& row : table.rows)
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    text += fmt::format("{:<{}}", row[0], width[0]);
    for (size_t i = 1; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], width[i]);
    text += '\n';
  };
  add(table.header);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    if (i > 0 && i == table.rule) text += '\n';
    add(table.rows[i]);
  }
  return text;
}

json results_json(const std::vector<Experiment>& experiments) {
  const Run& first = experiments.front().runs.front();
  json result = {{"machine", first.machine}, {"seed", first.seed}, {"data", first.data}, {"rows", json::array()}};
  for (const Experiment& experiment : experiments) {
    const Run& any = experiment.runs.front();
    json original = row_json("original", "Original", experiment.original, any);
    original["measured_ms_original"] = or_null(experiment.original.measured_ms);
    result["rows"].push_back(std::move(original));
    for (const Run& run : experiment.runs) {
      json row = row_json(run.method, run.name, run.result, run);
      row["target"] = run.target;
      row["missed"] = run.missed;
      row["forced"] = run.forced;
      for (const char* key : {"machine", "seed", "data"})
        if (row[key] != result[key]) result[key] = nullptr;
      result["rows"].push_back(std::move(row));
    }
  }
  return result;
}

}  // namespace fdi::cli
