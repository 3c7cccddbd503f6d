#include "profile/csv.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace fdi::profile {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // some spreadsheets write it

// What the first row, the header, has most of outside of quotes.
char separator_of(std::string_view text) {
  constexpr std::string_view kSeparators = ",;\t";
  std::array<int, kSeparators.size()> count{};
  text.remove_prefix(std::min(text.find_first_not_of("\r\n"), text.size()));
  bool quoted = false;
  for (const char c : text) {
    if (!quoted && (c == '\n' || c == '\r')) break;
    if (c == '"') quoted = !quoted;
    if (const size_t which = kSeparators.find(c); !quoted && which != std::string_view::npos) ++count[which];
  }
  return kSeparators[static_cast<size_t>(std::ranges::max_element(count) - count.begin())];
}

void check_is_text(std::string_view text, const std::string& where) {
  using namespace std::string_view_literals;
  if (text.starts_with("\x1f\x8b"sv))
    core::fail("{}: is compressed (gzip); unpack it, or give `--samples <(zcat FILE)`", where);
  if (text.starts_with("PK\x03\x04"sv))
    core::fail("{}: is a spreadsheet's own file or another zip; save the table as CSV", where);
  if (text.starts_with("\xff\xfe"sv) || text.starts_with("\xfe\xff"sv))
    core::fail("{}: is UTF-16; save it as UTF-8 (\"CSV UTF-8\" in a spreadsheet, `iconv -f UTF-16 -t UTF-8`)", where);
}

}  // namespace

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos && !text.starts_with(' ') && !text.ends_with(' ')) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += c;
    out += c;
  }
  return out += '"';
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool is_blank(const std::string& cell) {
  if (cell.size() > 4) return false;
  const std::string lower = lower_case(cell);
  return lower.empty() || lower == "nan" || lower == "na" || lower == "n/a" || lower == "#n/a" || lower == "null" ||
         lower == "none";
}

bool read_number(const std::string& cell, bool decimal_comma, double& out) {
  std::string text = cell;
  if (decimal_comma && text.find('.') == std::string::npos)
    if (const size_t comma = text.find(','); comma != std::string::npos) text[comma] = '.';
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(out);
}

bool read_whole(const std::string& cell, bool decimal_comma, int64_t& out) {
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), out);
  if (error == std::errc() && end == cell.data() + cell.size()) return true;
  constexpr double kExact = 9007199254740992;  // beyond, a double skips whole numbers
  double number = 0;
  if (!read_number(cell, decimal_comma, number) || number != std::floor(number) || std::abs(number) > kExact)
    return false;
  out = static_cast<int64_t>(number);
  return true;
}

bool read_truth(const std::string& cell, bool& out) {
  const std::string lower = lower_case(cell);
  out = lower == "true" || lower == "1";
  return out || lower == "false" || lower == "0";
}

std::vector<std::string> split_list(const std::string& cell) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= cell.size() && !cell.empty();) {
    const size_t end = std::min(cell.find(';', at), cell.size());
    parts.push_back(cell.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

CsvReader::CsvReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {
  check_is_text(text_, where_);
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  separator_ = separator_of(text_);
  constexpr std::string_view kSep = "sep=";  // a line for the spreadsheet, which does not count it as a row
  if (const std::string_view told = text_.substr(0, text_.find_first_of("\r\n"));
      told.starts_with(kSep) && told.size() == kSep.size() + 1) {
    separator_ = told.back();
    at_ = told.size();
    while (at_ < text_.size() && at_line_end()) ++at_;
  }
}

bool CsvReader::next(std::vector<std::string>& cells) {
  do {
    if (at_ >= text_.size()) return false;
    cells.assign(1, "");
    ++row_;
    if (text_.substr(at_).starts_with(kByteOrderMark)) at_ += kByteOrderMark.size();  // of a file put behind another
    while (cell(cells.back())) cells.emplace_back();
  } while (std::ranges::all_of(cells, &std::string::empty));
  return true;
}

std::string CsvReader::who() const { return fmt::format("{}: row {}", where_, row_); }

// Reads one cell and what ends it; false at the end of the row.
bool CsvReader::cell(std::string& out) {
  const auto skip_spaces = [this] {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  };
  skip_spaces();
  if (at_ < text_.size() && text_[at_] == '"') {
    for (++at_;; ++at_) {
      if (at_ >= text_.size()) core::fail("{}: a quote is not closed", who());
      if (text_[at_] == '"' && (++at_ >= text_.size() || text_[at_] != '"')) break;
      out += text_[at_];
    }
    skip_spaces();
    if (!at_line_end() && text_[at_] != separator_) core::fail("{}: text behind a closed quote", who());
  } else {
    while (!at_line_end() && text_[at_] != separator_) out += text_[at_++];
    out.erase(out.find_last_not_of(' ') + 1);
  }
  if (at_ >= text_.size()) return false;
  const char end = text_[at_++];
  if (end == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
  return end == separator_;
}

}  // namespace fdi::profile
