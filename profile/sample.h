// Sample: a component and the time it took. The profile's result, the time model's food.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/component.h"
#include "device/identity.h"
#include "device/measure.h"

namespace fdi::profile {

struct Sample {
  device::Component component;
  // Over all passes, clock drift divided out: median_us is the median of the passes' medians.
  device::Timing time;
  std::vector<double> pass_us;  // each pass's median, drift divided out: their spread is the noise floor
};

struct SampleSet {
  device::Identity device;
  std::vector<Sample> samples;
};

// One header row: op, every structure field, median_us, mean_us, min_us, rel_mad, runs, pass_us (";" between passes),
// and the device's fields. Layers have no names there: they come back under the name of their op, and a network's equal
// layers are equal rows.
void write_samples_csv(const std::string& path, const SampleSet& set);
std::string format_samples_csv(const SampleSet& set);
// Also what spreadsheets, pandas and people make of it (csv.h), and tables of one's own, in any order of columns.
// Needed are op, its sizes and median_us (microseconds). Left out, a column or a cell, mean_us and min_us are the
// median, rel_mad 0, runs 1, pass_us none, an attribute its usual value (stride 1, padding same, bias true, relu
// false), network_bytes 0, and the device's fields "unknown", 1 thread, not emulated. Columns of other names are left
// out, and so are rows that are there already; `notes` lists both. Throws Error "F: row 7: ..." (the header is row
// 1) for a time that is not a positive number, a component that does not fit together, rows of different devices.
SampleSet read_samples_csv(const std::string& path, std::vector<std::string>* notes = nullptr);
SampleSet parse_samples_csv(std::string_view text, const std::string& where, std::vector<std::string>* notes = nullptr);

}  // namespace fdi::profile
