// See class_table.h.
#include "cli/class_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fdi::cli {
namespace {

struct Row {
  int64_t examples = 0, correct = 0, mistakes = 0;
  int mistaken_for = -1;
  double accuracy() const { return examples > 0 ? static_cast<double>(correct) / static_cast<double>(examples) : 0; }
};

Row row_of(const nn::Evaluation& e, int truth) {
  Row row;
  for (int p = 0; p < e.classes; ++p) {
    const int64_t n = e.count(truth, p);
    row.examples += n;
    if (p == truth) {
      row.correct = n;
    } else if (n > row.mistakes) {
      row.mistakes = n, row.mistaken_for = p;
    }
  }
  return row;
}

}  // namespace

std::string class_table(const nn::Evaluation& e, const std::vector<std::string>& classes) {
  size_t width = 5;
  for (const std::string& name : classes) width = std::max(width, name.size());
  std::string text = fmt::format("{:<{}}  images  correct  accuracy  most often taken for\n", "class", width);
  for (int t = 0; t < e.classes; ++t) {
    const Row row = row_of(e, t);
    text += fmt::format("{:<{}}  {:>6}  {:>7}  {:>7.2f}%", classes[static_cast<size_t>(t)], width, row.examples,
                        row.correct, 100 * row.accuracy());
    if (row.mistaken_for >= 0)
      text += fmt::format("  {} ({})", classes[static_cast<size_t>(row.mistaken_for)], row.mistakes);
    text += "\n";
  }
  return text;
}

nlohmann::json classes_to_json(const nn::Evaluation& e, const std::vector<std::string>& classes) {
  nlohmann::json rows = nlohmann::json::array();
  for (int t = 0; t < e.classes; ++t) {
    const Row row = row_of(e, t);
    rows.push_back({{"name", classes[static_cast<size_t>(t)]},
                    {"examples", row.examples},
                    {"correct", row.correct},
                    {"accuracy", row.accuracy()},
                    {"mistaken_for", nullptr}});
    if (row.mistaken_for >= 0) rows.back()["mistaken_for"] = classes[static_cast<size_t>(row.mistaken_for)];
  }
  return rows;
}

}  // namespace fdi::cli
