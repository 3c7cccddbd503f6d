// Samples as a table that spreadsheets and pandas read. A layer's attributes have a column each, empty where the op has
// no such attribute; the shapes of several inputs are joined with ";".
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "nn/attributes.h"
#include "nn/layer.h"
#include "profile/csv.h"
#include "profile/sample_row.h"

namespace fdi::profile {
namespace {

using device::Component;
using nlohmann::json;

constexpr uint64_t kMaxBytes = uint64_t{256} << 20;
// Columns that no table may leave out.
constexpr std::array kNeeded = {"op", "in_channel", "median_us"};

std::string plain(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

using Cells = std::map<std::string, std::string>;  // by column; what is missing is empty

Cells structure_row(const Component& component) {
  Cells row;
  row["op"] = nn::op_name(component.layer.op);
  for (const AttributeColumn& c : attribute_columns())
    for (const char* key : nn::op_info(component.layer.op).attributes)
      if (std::string_view(key) == c.attribute) {
        const json value = nn::write_attribute(key, component.layer.attr);
        row[c.name] = plain(c.part < 0 ? value : value[static_cast<size_t>(c.part)]);
      }
  for (size_t k = 0; k < component.in.size(); ++k)
    for (int i = 0; i < component.in[k].rank; ++i) {
      std::string& cell = row[kAxisColumns[axis_column(component.in[k].rank, i)]];
      if (k > 0) cell += ';';
      cell += std::to_string(component.in[k][i]);
    }
  row["network_bytes"] = std::to_string(component.network_bytes);
  return row;
}

// The column that a head means: vectors have dimensions where images have channels (profile/features.h).
std::string column_of(const std::string& head) {
  const std::string name = lower_case(head);
  return name == "in_dim" ? "in_channel" : name == "out_dim" ? "out_channel" : name;
}

// The columns of the table, in its order; those that are not known are empty.
std::vector<std::string> read_header(std::vector<std::string> cells, const std::string& where,
                                     std::vector<std::string>* notes) {
  const std::vector<std::string>& known = sample_columns();
  const auto is_known = [&](const std::string& name) { return std::ranges::find(known, name) != known.end(); };
  const std::string first = cells[0];
  std::string missing, left_out;
  for (std::string& name : cells) {
    const std::string column = column_of(name);
    if (!is_known(column) && !name.empty()) left_out += (left_out.empty() ? "" : ", ") + shown_cell(name);
    name = is_known(column) ? column : "";
    if (!name.empty() && std::ranges::count(cells, name) > 1) core::fail("{}: the header names {} twice", where, name);
  }
  for (const char* name : kNeeded)
    if (std::ranges::find(cells, name) == cells.end()) missing += (missing.empty() ? "" : ", ") + std::string(name);
  if (std::ranges::find(cells, "op") == cells.end() && std::ranges::find(cells, "median_us") == cells.end())
    core::fail("{}: row 1: is no header of a table of samples (it begins '{}'); `fastdeepiot profile --csv` writes one",
               where, shown_cell(first));
  if (!missing.empty()) core::fail("{}: row 1: the header lacks {}", where, missing);
  if (!left_out.empty() && notes != nullptr)
    notes->push_back(fmt::format("{}: columns that no sample has are left out: {}", where, left_out));
  return cells;
}

}  // namespace

std::string format_samples_csv(const SampleSet& set) {
  const json identity = device::identity_to_json(set.device);
  const std::vector<std::string>& names = sample_columns();
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  text += '\n';
  for (const Sample& sample : set.samples) {
    Cells row = structure_row(sample.component);
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

SampleSet parse_samples_csv(std::string_view text, const std::string& where, std::vector<std::string>* notes) {
  CsvReader reader(text, where);
  std::vector<std::string> heads, cells;
  if (!reader.next(heads)) core::fail("{}: is empty; want a header row and samples", where);
  const std::vector<std::string> names = read_header(heads, where, notes);
  SampleRow row;
  row.decimal_comma = reader.decimal_comma();
  for (const std::string& name : sample_columns()) row.cells[name] = "";

  SampleSet set;
  std::set<std::string> there;
  int twice = 0;
  while (reader.next(cells)) {
    if (cells == heads) continue;  // of a table that was put behind another one
    row.who = reader.who();
    while (cells.size() > names.size() && cells.back().empty()) cells.pop_back();
    if (cells.size() != names.size())
      core::fail("{}: has {} cells, the header {}", row.who, cells.size(), names.size());
    for (size_t i = 0; i < names.size(); ++i)
      if (!names[i].empty()) row.cells[names[i]] = is_blank(cells[i]) ? "" : cells[i];
    if (std::ranges::all_of(row.cells, [](const auto& cell) { return cell.second.empty(); })) continue;
    Sample sample = read_sample(row);
    const device::Identity device = read_identity(row);
    if (set.samples.empty()) set.device = device;
    if (device::key(device) != device::key(set.device))
      core::fail("{}: is of another device than the first sample ({}; {}); keep one device in a file", row.who,
                 device::key(device), device::key(set.device));
    const std::string equal = fmt::format("{} {} {} {}", device::component_to_json(sample.component).dump(),
                                          sample.time.median_us, sample.time.mean_us, fmt::join(sample.pass_us, ";"));
    if (there.insert(equal).second)
      set.samples.push_back(std::move(sample));
    else
      ++twice;
  }
  if (set.samples.empty()) core::fail("{}: has a header but no samples", where);
  if (twice > 0 && notes != nullptr)
    notes->push_back(fmt::format("{}: {} row{} there already, and count{} once", where, twice,
                                 twice == 1 ? " is" : "s are", twice == 1 ? "s" : ""));
  return set;
}

void write_samples_csv(const std::string& path, const SampleSet& set) {
  core::write_file_atomically(path, format_samples_csv(set));
}

SampleSet read_samples_csv(const std::string& path, std::vector<std::string>* notes) {
  return parse_samples_csv(core::read_file(path, kMaxBytes), path, notes);
}

}  // namespace fdi::profile
