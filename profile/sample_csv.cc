// Samples as a table that spreadsheets and pandas read. A layer's attributes have a column each, empty where the op has
// no such attribute; the shapes of several inputs are joined with ";".
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "nn/attributes.h"
#include "nn/layer.h"
#include "profile/csv.h"
#include "profile/sample.h"

namespace fdi::profile {
namespace {

using device::Component;
using nlohmann::json;
using nn::Shape;

constexpr uint64_t kMaxBytes = uint64_t{256} << 20;

struct Column {
  const char* name;
  const char* attribute;  // of the layer, as in its JSON; null: see the code
  int part = -1;          // of an attribute [height, width]
};

constexpr Column kStructure[] = {{"out_channel", "units"},
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
// Axes from the last one on: a vector has in_channel alone, a sequence step too, an image three, a sequence of images
// all.
constexpr const char* kAxes[] = {"in_channel", "in_width", "in_height", "step"};
constexpr const char* kTimes[] = {"median_us", "mean_us", "min_us"};

// Which of kAxes holds axis `i` of a shape of that rank. The first axis of a sequence is its step.
int axis_column(int rank, int i) { return rank == 2 && i == 0 ? 3 : rank - 1 - i; }

std::vector<std::string> header(const json& identity) {
  std::vector<std::string> names = {"op", "step", "in_height", "in_width", "in_channel"};
  for (const Column& c : kStructure) names.emplace_back(c.name);
  names.insert(names.end(), {"network_bytes", "median_us", "mean_us", "min_us", "rel_mad", "runs", "pass_us"});
  for (const auto& [key, value] : identity.items()) names.push_back(key);
  return names;
}

std::string plain(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

using Row = std::map<std::string, std::string>;  // by column; what is missing is empty

Row structure_row(const Component& component) {
  Row row;
  row["op"] = nn::op_name(component.layer.op);
  for (const Column& c : kStructure)
    for (const char* key : nn::op_info(component.layer.op).attributes)
      if (std::string_view(key) == c.attribute) {
        const json value = nn::write_attribute(key, component.layer.attr);
        row[c.name] = plain(c.part < 0 ? value : value[static_cast<size_t>(c.part)]);
      }
  for (size_t k = 0; k < component.in.size(); ++k)
    for (int i = 0; i < component.in[k].rank; ++i)
      row[kAxes[axis_column(component.in[k].rank, i)]] += (k > 0 ? ";" : "") + std::to_string(component.in[k][i]);
  row["network_bytes"] = std::to_string(component.network_bytes);
  return row;
}

// A cell for a message: short, printable.
std::string shown(std::string text) {
  for (char& c : text)
    if (c < ' ' || c == 127) c = '?';
  return text.size() > 40 ? text.substr(0, 37) + "..." : text;
}

bool read_double(const std::string& text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(out);
}

bool read_int64(const std::string& text, int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size() && !text.empty();) {
    const size_t end = std::min(text.find(';', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

double read_time(const std::string& text, const char* column, const std::string& who) {
  double us = 0;
  if (!read_double(text, us) || us <= 0)
    core::fail("{}: {} is '{}', want a time above 0 in microseconds", who, column, shown(text));
  return us;
}

// A cell as the JSON that nn::read_attribute wants: true, 3, 1e-05, or a word.
json attribute_value(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  if (int64_t whole = 0; read_int64(text, whole)) return whole;
  if (double number = 0; read_double(text, number)) return number;
  return text;
}

std::vector<Shape> read_shapes(const Row& row, const std::string& who) {
  std::array<std::vector<std::string>, std::size(kAxes)> cells;
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = split(row.at(kAxes[i]));
  std::vector<Shape> shapes(cells[0].size());
  // Which axes there are says the rank; all inputs of a layer have the same.
  const bool image = !cells[1].empty() || !cells[2].empty(), sequence = !cells[3].empty();
  const int rank = image ? (sequence ? 4 : 3) : (sequence ? 2 : 1);
  if (shapes.empty() || shapes.size() > 1000)
    core::fail("{}: in_channel is '{}', want a number, or several with ';' between", who, shown(row.at("in_channel")));
  for (int i = 0; i < rank; ++i) {
    const auto column = static_cast<size_t>(axis_column(rank, i));
    if (cells[column].size() != shapes.size())
      core::fail("{}: {} has {} numbers, in_channel {}; want one for each input", who, kAxes[column],
                 cells[column].size(), shapes.size());
    for (size_t k = 0; k < shapes.size(); ++k) {
      int64_t extent = 0;
      if (!read_int64(cells[column][k], extent) || extent < 1 || extent > nn::kMaxDimension)
        core::fail("{}: {} is '{}', want a number from 1 to {}", who, kAxes[column], shown(cells[column][k]),
                   nn::kMaxDimension);
      shapes[k].rank = rank;
      shapes[k][i] = static_cast<int>(extent);
    }
  }
  return shapes;
}

Component read_component(const Row& row, const std::string& who) {
  const std::string& op = row.at("op");
  const auto infos = nn::all_ops();
  const auto info = std::ranges::find_if(infos, [&](const nn::OpInfo* i) { return op == i->name; });
  if (info == infos.end()) core::fail("{}: op is '{}', which no layer is called", who, shown(op));
  json layer = {{"op", op}, {"name", op}};
  for (const Column& c : kStructure) {
    const std::string& cell = row.at(c.name);
    const bool has =
        std::ranges::any_of((*info)->attributes, [&](const char* key) { return std::string_view(key) == c.attribute; });
    if (!has && !cell.empty())
      core::fail("{}: {} is '{}', but {} has none; leave it empty", who, c.name, shown(cell), op);
    if (!has) continue;
    if (cell.empty()) core::fail("{}: {} is empty, {} needs it", who, c.name, op);
    if (c.part < 0)
      layer[c.attribute] = attribute_value(cell);
    else
      layer[c.attribute].push_back(attribute_value(cell));
  }
  json in = json::array();
  for (const Shape& shape : read_shapes(row, who)) in.push_back(nn::write_shape(shape));
  return device::component_from_json(
      {{"layer", layer}, {"in", in}, {"network_bytes", attribute_value(row.at("network_bytes"))}}, who);
}

device::Timing read_timing(const Row& row, const std::string& who) {
  device::Timing time;
  time.median_us = read_time(row.at("median_us"), "median_us", who);
  time.mean_us = read_time(row.at("mean_us"), "mean_us", who);
  time.min_us = read_time(row.at("min_us"), "min_us", who);
  if (time.min_us > time.median_us || time.min_us > time.mean_us)
    core::fail("{}: min_us {} is above median_us {} or mean_us {}", who, time.min_us, time.median_us, time.mean_us);
  if (!read_double(row.at("rel_mad"), time.rel_mad) || time.rel_mad < 0)
    core::fail("{}: rel_mad is '{}', want a number from 0", who, shown(row.at("rel_mad")));
  int64_t runs = 0;
  if (!read_int64(row.at("runs"), runs) || runs < 1 || runs > 1'000'000'000)
    core::fail("{}: runs is '{}', want a number from 1", who, shown(row.at("runs")));
  time.runs = static_cast<int>(runs);
  return time;
}

device::Identity read_identity(const Row& row, const json& fields, const std::string& who) {
  json object = fields;
  for (auto& [key, value] : object.items())
    value = value.is_string() ? json(row.at(key)) : attribute_value(row.at(key));
  return device::identity_from_json(object, who);
}

}  // namespace

std::string format_samples_csv(const SampleSet& set) {
  const json identity = device::identity_to_json(set.device);
  const std::vector<std::string> names = header(identity);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  text += '\n';
  for (const Sample& sample : set.samples) {
    Row row = structure_row(sample.component);
    row["median_us"] = fmt::format("{}", sample.time.median_us);
    row["mean_us"] = fmt::format("{}", sample.time.mean_us);
    row["min_us"] = fmt::format("{}", sample.time.min_us);
    row["rel_mad"] = fmt::format("{}", sample.time.rel_mad);
    row["runs"] = std::to_string(sample.time.runs);
    for (const double us : sample.pass_us)
      row["pass_us"] += (row["pass_us"].empty() ? "" : ";") + fmt::format("{}", us);
    for (const auto& [key, value] : identity.items()) row[key] = plain(value);
    for (const std::string& name : names) text += (name == names[0] ? "" : ",") + csv_cell(row[name]);
    text += '\n';
  }
  return text;
}

SampleSet parse_samples_csv(std::string_view text, const std::string& where) {
  CsvReader reader(text, where);
  std::vector<std::string> names, cells;
  if (!reader.next(names)) core::fail("{}: is empty; want a header row and samples", where);
  const json fields = device::identity_to_json({});
  std::string missing;
  Row row;
  for (const std::string& name : header(fields)) {
    const auto count = std::ranges::count(names, name);
    if (count > 1) core::fail("{}: the header names {} twice", where, name);
    if (count == 0 && name != "pass_us") missing += (missing.empty() ? "" : ", ") + name;
    row[name] = "";
  }
  if (std::ranges::find(names, "op") == names.end() && std::ranges::find(names, "median_us") == names.end())
    core::fail("{}: row 1: is no header of a table of samples (it begins '{}'); `fastdeepiot profile --csv` writes one",
               where, shown(names[0]));
  if (!missing.empty()) core::fail("{}: row 1: the header lacks {}", where, missing);

  SampleSet set;
  while (reader.next(cells)) {
    const std::string who = reader.who();
    if (cells.size() != names.size()) core::fail("{}: has {} cells, the header {}", who, cells.size(), names.size());
    for (size_t i = 0; i < names.size(); ++i) row[names[i]] = cells[i];
    Sample sample{read_component(row, who), read_timing(row, who), {}};
    for (const std::string& pass : split(row["pass_us"])) sample.pass_us.push_back(read_time(pass, "pass_us", who));
    const device::Identity device = read_identity(row, fields, who);
    if (set.samples.empty()) set.device = device;
    if (device::key(device) != device::key(set.device))
      core::fail("{}: is of another device than the first sample ({}; {}); keep one device in a file", who,
                 device::key(device), device::key(set.device));
    set.samples.push_back(std::move(sample));
  }
  if (set.samples.empty()) core::fail("{}: has a header but no samples", where);
  return set;
}

void write_samples_csv(const std::string& path, const SampleSet& set) {
  core::write_file_atomically(path, format_samples_csv(set));
}

SampleSet read_samples_csv(const std::string& path) {
  return parse_samples_csv(core::read_file(path, kMaxBytes), path);
}

}  // namespace fdi::profile
