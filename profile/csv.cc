#include "profile/csv.h"

#include <fmt/core.h>

#include "core/error.h"

namespace fdi::profile {

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

CsvReader::CsvReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);  // some spreadsheets write it
}

bool CsvReader::next(std::vector<std::string>& cells) {
  do {
    if (at_ >= text_.size()) return false;
    cells.assign(1, "");
    ++row_;
    while (cell(cells.back())) cells.emplace_back();
  } while (cells.size() == 1 && cells[0].empty());
  return true;
}

std::string CsvReader::who() const { return fmt::format("{}: row {}", where_, row_); }

// Reads one cell and what ends it; false at the end of the row.
bool CsvReader::cell(std::string& out) {
  if (at_ < text_.size() && text_[at_] == '"') {
    for (++at_;; ++at_) {
      if (at_ >= text_.size()) core::fail("{}: a quote is not closed", who());
      if (text_[at_] == '"' && (++at_ >= text_.size() || text_[at_] != '"')) break;
      out += text_[at_];
    }
  } else {
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' && text_[at_] != '\r') out += text_[at_++];
  }
  if (at_ < text_.size() && text_[at_] == '\r') ++at_;
  if (at_ >= text_.size()) return false;
  const char end = text_[at_++];
  if (end != ',' && end != '\n') core::fail("{}: text behind a closed quote", who());
  return end == ',';
}

}  // namespace fdi::profile
