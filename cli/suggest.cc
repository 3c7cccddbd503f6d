// Edit distance, see suggest.h.
#include "cli/suggest.h"

#include <algorithm>
#include <numeric>

namespace fdi::cli {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t distance = std::min<size_t>(3, (word.size() + 2) / 3) + 1;
  for (const std::string& name : known)
    if (const size_t d = edit_distance(word, name); d < distance) distance = d, best = name;
  return best;
}

}  // namespace fdi::cli
