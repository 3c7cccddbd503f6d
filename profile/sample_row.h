// A row of a table of samples: which columns there are, and what its cells mean. Called by sample_csv.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "profile/sample.h"

namespace fdi::profile {

// A layer's attribute that has a column.
struct AttributeColumn {
  const char* name;
  const char* attribute;  // as in the layer's JSON
  int part = -1;          // of an attribute [height, width]
};
std::span<const AttributeColumn> attribute_columns();

// Axes from the last one on: a vector has in_channel alone, a sequence step too, an image three, a sequence of images
// all.
constexpr const char* kAxisColumns[] = {"in_channel", "in_width", "in_height", "step"};
// Which of kAxisColumns holds axis `i` of a shape of that rank. The first axis of a sequence is its step.
constexpr int axis_column(int rank, int i) { return rank == 2 && i == 0 ? 3 : rank - 1 - i; }

// All columns, in the order in which they are written.
const std::vector<std::string>& sample_columns();

struct SampleRow {
  std::map<std::string, std::string> cells;  // by column, all of them; blank ones are empty
  bool decimal_comma = false;
  std::string who;  // "f.csv: row 7", the head of every message
};
// Throw Error for what is no sample. What is blank is what sample.h says.
Sample read_sample(const SampleRow& row);
device::Identity read_identity(const SampleRow& row);

// A cell for a message: short, printable.
std::string shown_cell(const std::string& text);

}  // namespace fdi::profile
