#include "cli/report_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

namespace fdi::cli {
namespace {

using nlohmann::json;

struct Column {
  std::string name, target;
  const Design* design;
};

std::string units_of(const Design& design, const std::string& layer) {
  const auto width = std::ranges::find(design.widths, layer, &Widths::value_type::first);
  return width == design.widths.end() ? "-" : std::to_string(width->second);
}

std::string ratio(const Design& design) {
  return design.predicted_ms ? fmt::format("{:.2f}", *design.predicted_ms / design.measured_ms) : "-";
}

// What a design achieves, in the words of both tables.
struct Figure {
  const char* name;
  std::function<std::string(const Design& design, const Design& original)> text;
};
const std::vector<Figure>& figures() {
  static const std::vector<Figure> all = {
      {"test accuracy", [](const Design& d, const Design&) { return percent(d.accuracy); }},
      {"predicted ms", [](const Design& d, const Design&) { return milliseconds(d.predicted_ms); }},
      {"measured ms", [](const Design& d, const Design&) { return milliseconds(d.measured_ms); }},
      {"predicted / measured", [](const Design& d, const Design&) { return ratio(d); }},
      {"times as fast",
       [](const Design& d, const Design& original) {
         return fmt::format("{:.2f}", original.measured_ms / d.measured_ms);
       }},
      {"parameters", [](const Design& d, const Design&) { return in_millions(d.parameters); }},
      {"FLOPs", [](const Design& d, const Design&) { return in_millions(d.flops); }},
      {"peak memory, MiB", [](const Design& d, const Design&) { return fmt::format("{:.2f}", d.peak_memory_mib); }}};
  return all;
}

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
  row["measured_ms" + suffix] = design.measured_ms;
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
  std::vector<Column> columns = {{"Original", "", &experiment.original}};
  for (const Run* run : best_runs(experiment)) columns.push_back({run->name, run->target, &run->result});
  Table table{{"layer"}, {}, 0};
  for (const Column& column : columns) table.header.push_back(column.name);
  for (const auto& [layer, units] : experiment.original.widths) {
    std::vector<std::string>& row = table.rows.emplace_back(1, layer);
    for (const Column& column : columns) row.push_back(units_of(*column.design, layer));
  }
  table.rule = table.rows.size();
  for (const Figure& figure : figures()) {
    std::vector<std::string>& row = table.rows.emplace_back(1, figure.name);
    for (const Column& column : columns) row.push_back(figure.text(*column.design, experiment.original));
  }
  return table;
}

Table runs_table(const Experiment& experiment) {
  Table table{{"method", "target"}, {}, 0};
  for (const Figure& figure : figures()) table.header.emplace_back(figure.name);
  const auto add = [&](const std::string& name, const std::string& target, const Design& design) {
    std::vector<std::string>& row = table.rows.emplace_back(std::vector{name, target});
    for (const Figure& figure : figures()) row.push_back(figure.text(design, experiment.original));
  };
  add("Original", "", experiment.original);
  for (const Run& run : experiment.runs) add(run.name, run.target, run.result);
  return table;
}

Table candidates_table(const Run& run) {
  Table table{{"candidate", "predicted ms", "measured ms", "predicted / measured", "chosen"}, {}, 0};
  for (const Candidate& candidate : run.candidates) {
    const Design timed{.predicted_ms = candidate.predicted_ms, .measured_ms = candidate.measured_ms};
    table.rows.push_back({std::to_string(table.rows.size() + 1), milliseconds(timed.predicted_ms),
                          milliseconds(timed.measured_ms), ratio(timed), candidate.chosen ? "yes" : ""});
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
    original["measured_ms_original"] = experiment.original.measured_ms;
    result["rows"].push_back(std::move(original));
    for (const Run& run : experiment.runs) {
      json row = row_json(run.method, run.name, run.result, run);
      row["target"] = run.target;
      for (const char* key : {"machine", "seed", "data"})
        if (row[key] != result[key]) result[key] = nullptr;
      result["rows"].push_back(std::move(row));
    }
  }
  return result;
}

}  // namespace fdi::cli
