// Exact minimum of a sum of tables over a few variables each, by eliminating one variable after the other: dynamic
// programming, along whatever the graph of variables is (a chain, residual stages, branches). Called by expand.
#pragma once
#include <optional>
#include <span>
#include <vector>

namespace fdi::compress {

struct CostTable {
  std::vector<int> variables;  // ascending
  std::vector<double> cost;    // by the choices of its variables, the last one fastest
};

// The choice of each variable, from 0 to choices[v] - 1, at which the sum of all tables is least; the smaller choice
// where they are equal. None where a table on the way would pass `largest` entries.
std::optional<std::vector<int>> least_sum(std::span<const int> choices, std::vector<CostTable> tables,
                                          size_t largest = size_t{1} << 20);

// Entries of a table over these variables; more than `largest` counts as largest + 1.
size_t table_size(std::span<const int> choices, std::span<const int> variables, size_t largest);
// To the next combination of choices, the last variable fastest; false after the last one. Starts from zeros.
bool next_choice(std::span<const int> choices, std::span<const int> variables, std::vector<int>& choice);

}  // namespace fdi::compress
