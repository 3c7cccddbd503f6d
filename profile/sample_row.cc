// Cells to components, times and devices; the columns' names.
#include "profile/sample_row.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "nn/attributes.h"
#include "nn/layer.h"
#include "profile/csv.h"

namespace fdi::profile {
namespace {

using device::Component;
using nlohmann::json;
using nn::Shape;

constexpr AttributeColumn kAttributes[] = {{"out_channel", "units"},
                                           {"kernel_height", "kernel", 0},
                                           {"kernel_width", "kernel", 1},
                                           {"stride_height", "stride", 0},
                                           {"stride_width", "stride", 1},
                                           {"padding", "padding"},
                                           {"bias", "bias"},
                                           {"relu", "relu"},
                                           {"reset_after", "reset_after"},
                                           {"axis", "axis"},
                                           {"begin", "begin"},
                                           {"end", "end"},
                                           {"rate", "rate"},
                                           {"epsilon", "epsilon"},
                                           {"momentum", "momentum"}};

double read_time(const std::string& text, const char* column, bool decimal_comma, const std::string& who) {
  double us = 0;
  if (!read_number(text, decimal_comma, us) || us <= 0)
    core::fail("{}: {} is '{}', want a time above 0 in microseconds", who, column, shown_cell(text));
  return us;
}

// A cell as a value of the kind of `like`; what is none stays a text, which the reader of the value then refuses.
json value_like(const json& like, const std::string& text, bool decimal_comma) {
  bool truth = false;
  int64_t whole = 0;
  double number = 0;
  if (like.is_boolean() && read_truth(text, truth)) return truth;
  if (like.is_number() && read_whole(text, decimal_comma, whole)) return whole;
  if (like.is_number() && read_number(text, decimal_comma, number)) return number;
  return text;
}

std::vector<Shape> read_shapes(const SampleRow& row) {
  std::array<std::vector<std::string>, std::size(kAxisColumns)> cells;
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = split_list(row.cells.at(kAxisColumns[i]));
  std::vector<Shape> shapes(cells[0].size());
  // Which axes there are says the rank; all inputs of a layer have the same.
  const bool image = !cells[1].empty() || !cells[2].empty(), sequence = !cells[3].empty();
  const int rank = image ? (sequence ? 4 : 3) : (sequence ? 2 : 1);
  if (shapes.empty() || shapes.size() > 1000)
    core::fail("{}: in_channel is '{}', want a number, or several with ';' between", row.who,
               shown_cell(row.cells.at("in_channel")));
  for (int i = 0; i < rank; ++i) {
    const auto column = static_cast<size_t>(axis_column(rank, i));
    if (cells[column].size() != shapes.size())
      core::fail("{}: {} has {} numbers, in_channel {}; want one for each input", row.who, kAxisColumns[column],
                 cells[column].size(), shapes.size());
    for (size_t k = 0; k < shapes.size(); ++k) {
      int64_t extent = 0;
      if (!read_whole(cells[column][k], row.decimal_comma, extent) || extent < 1 || extent > nn::kMaxDimension)
        core::fail("{}: {} is '{}', want a number from 1 to {}", row.who, kAxisColumns[column],
                   shown_cell(cells[column][k]), nn::kMaxDimension);
      shapes[k].rank = rank;
      shapes[k][i] = static_cast<int>(extent);
    }
  }
  return shapes;
}

Component read_component(const SampleRow& row) {
  const std::string& op = row.cells.at("op");
  const auto infos = nn::all_ops();
  const auto found = std::ranges::find_if(infos, [&](const nn::OpInfo* i) { return op == i->name; });
  if (found == infos.end()) core::fail("{}: op is '{}', which no layer is called", row.who, shown_cell(op));
  const nn::OpInfo& info = **found;
  const auto names = [](const std::vector<const char*>& keys, const AttributeColumn& c) {
    return std::ranges::any_of(keys, [&](const char* key) { return std::string_view(key) == c.attribute; });
  };
  json layer = {{"op", op}, {"name", op}};
  for (const AttributeColumn& c : kAttributes) {
    const std::string& cell = row.cells.at(c.name);
    if (!names(info.attributes, c)) {
      if (!cell.empty())
        core::fail("{}: {} is '{}', but {} has none; leave it empty", row.who, c.name, shown_cell(cell), op);
      continue;
    }
    // Half of a pair is no pair.
    if (cell.empty() && (names(info.required, c) || layer.contains(c.attribute)))
      core::fail("{}: {} is empty, {} needs it", row.who, c.name, op);
    if (cell.empty()) continue;
    const json usual = nn::write_attribute(c.attribute, nn::Attributes());
    if (c.part < 0) {
      layer[c.attribute] = value_like(usual, cell, row.decimal_comma);
    } else {
      if (c.part == 1 && !layer.contains(c.attribute))
        core::fail("{}: {} is given, its height is not; give both", row.who, c.name);
      layer[c.attribute].push_back(value_like(usual[0], cell, row.decimal_comma));
    }
  }
  json in = json::array();
  for (const Shape& shape : read_shapes(row)) in.push_back(nn::write_shape(shape));
  const std::string& bytes = row.cells.at("network_bytes");
  return device::component_from_json(
      {{"layer", layer}, {"in", in}, {"network_bytes", value_like(0, bytes.empty() ? "0" : bytes, row.decimal_comma)}},
      row.who);
}

device::Timing read_timing(const SampleRow& row) {
  const auto time_or = [&](const char* column, double usual) {
    const std::string& cell = row.cells.at(column);
    return cell.empty() ? usual : read_time(cell, column, row.decimal_comma, row.who);
  };
  device::Timing time;
  time.median_us = read_time(row.cells.at("median_us"), "median_us", row.decimal_comma, row.who);
  time.mean_us = time_or("mean_us", time.median_us);
  time.min_us = time_or("min_us", std::min(time.median_us, time.mean_us));
  if (time.min_us > time.median_us || time.min_us > time.mean_us)
    core::fail("{}: min_us {} is above median_us {} or mean_us {}", row.who, time.min_us, time.median_us, time.mean_us);
  const std::string &spread = row.cells.at("rel_mad"), &runs = row.cells.at("runs");
  if (!spread.empty() && (!read_number(spread, row.decimal_comma, time.rel_mad) || time.rel_mad < 0))
    core::fail("{}: rel_mad is '{}', want a number from 0", row.who, shown_cell(spread));
  int64_t count = 1;
  if (!runs.empty() && (!read_whole(runs, row.decimal_comma, count) || count < 1 || count > 1'000'000'000))
    core::fail("{}: runs is '{}', want a number from 1", row.who, shown_cell(runs));
  time.runs = static_cast<int>(count);
  return time;
}

// What a table does not tell of its device: equal in all rows, so that they are one device.
json unknown_device() {
  return device::identity_to_json({.machine = "unknown",
                                   .cpu = "unknown",
                                   .os = "unknown",
                                   .engine = "unknown",
                                   .engine_version = "unknown",
                                   .isa = "unknown",
                                   .governor = ""});
}

}  // namespace

std::span<const AttributeColumn> attribute_columns() { return kAttributes; }

const std::vector<std::string>& sample_columns() {
  static const std::vector<std::string> columns = [] {
    std::vector<std::string> names = {"op", "step", "in_height", "in_width", "in_channel"};
    for (const AttributeColumn& c : kAttributes) names.emplace_back(c.name);
    names.insert(names.end(), {"network_bytes", "median_us", "mean_us", "min_us", "rel_mad", "runs", "pass_us"});
    const json identity = unknown_device();
    for (const auto& [key, value] : identity.items()) names.push_back(key);
    return names;
  }();
  return columns;
}

std::string shown_cell(const std::string& text) {
  return core::printable(text.size() > 40 ? text.substr(0, 37) + "..." : text);
}

Sample read_sample(const SampleRow& row) {
  Sample sample{read_component(row), read_timing(row), {}};
  for (const std::string& pass : split_list(row.cells.at("pass_us")))
    sample.pass_us.push_back(read_time(pass, "pass_us", row.decimal_comma, row.who));
  return sample;
}

device::Identity read_identity(const SampleRow& row) {
  json object = unknown_device();
  for (auto& [key, value] : object.items())
    if (const std::string& cell = row.cells.at(key); !cell.empty()) value = value_like(value, cell, row.decimal_comma);
  return device::identity_from_json(object, row.who);
}

}  // namespace fdi::profile
