#include "compress/elimination.h"

#include <algorithm>
#include <limits>
#include <set>

namespace fdi::compress {
namespace {

// What is left of the tables with a variable once it has taken its best choice: by the choices of the others.
struct Eliminated {
  int variable = 0;
  std::vector<int> others;  // ascending
  std::vector<int> best;    // by the choices of the others
};

size_t index_of(std::span<const int> choices, std::span<const int> variables, std::span<const int> choice) {
  size_t index = 0;
  for (const int v : variables)
    index = index * static_cast<size_t>(choices[static_cast<size_t>(v)]) +
            static_cast<size_t>(choice[static_cast<size_t>(v)]);
  return index;
}

bool has(const CostTable& table, int variable) { return std::ranges::binary_search(table.variables, variable); }

// The variables that share a table with this one, itself left out.
std::vector<int> neighbours(std::span<const CostTable> tables, int variable) {
  std::set<int> out;
  for (const CostTable& table : tables)
    if (has(table, variable)) out.insert(table.variables.begin(), table.variables.end());
  out.erase(variable);
  return {out.begin(), out.end()};
}

Eliminated eliminate(std::span<const int> choices, std::vector<CostTable>& tables, int variable) {
  Eliminated out{variable, neighbours(tables, variable), {}};
  CostTable sum{out.others, {}};
  std::vector<int> choice(choices.size());
  do {
    double least = std::numeric_limits<double>::infinity();
    out.best.push_back(0);
    for (int c = 0; c < choices[static_cast<size_t>(variable)]; ++c) {
      choice[static_cast<size_t>(variable)] = c;
      double cost = 0;
      for (const CostTable& table : tables)
        if (has(table, variable)) cost += table.cost[index_of(choices, table.variables, choice)];
      if (cost < least) {
        least = cost;
        out.best.back() = c;
      }
    }
    sum.cost.push_back(least);
  } while (next_choice(choices, out.others, choice));
  std::erase_if(tables, [&](const CostTable& table) { return has(table, variable); });
  if (!out.others.empty()) tables.push_back(std::move(sum));
  return out;
}

}  // namespace

size_t table_size(std::span<const int> choices, std::span<const int> variables, size_t largest) {
  size_t size = 1;
  for (const int v : variables) {
    size *= static_cast<size_t>(choices[static_cast<size_t>(v)]);
    if (size > largest) return largest + 1;
  }
  return size;
}

bool next_choice(std::span<const int> choices, std::span<const int> variables, std::vector<int>& choice) {
  for (size_t k = variables.size(); k-- > 0;) {
    const auto v = static_cast<size_t>(variables[k]);
    if (++choice[v] < choices[v]) return true;
    choice[v] = 0;
  }
  return false;
}

std::optional<std::vector<int>> least_sum(std::span<const int> choices, std::vector<CostTable> tables, size_t largest) {
  std::vector<int> left(choices.size());
  for (size_t v = 0; v < left.size(); ++v) left[v] = static_cast<int>(v);
  std::vector<Eliminated> order;
  while (!left.empty()) {
    // The one whose neighbours make the smallest table: small tables stay small on chains and trees.
    const auto size = [&](int v) {
      std::vector<int> all = neighbours(tables, v);
      all.push_back(v);
      return table_size(choices, all, largest);
    };
    const auto next = std::ranges::min_element(left, {}, size);
    if (size(*next) > largest) return std::nullopt;
    order.push_back(eliminate(choices, tables, *next));
    left.erase(next);
  }
  std::vector<int> choice(choices.size());
  for (size_t k = order.size(); k-- > 0;)
    choice[static_cast<size_t>(order[k].variable)] = order[k].best[index_of(choices, order[k].others, choice)];
  return choice;
}

}  // namespace fdi::compress
