// Separated text as spreadsheets and other programs write it: RFC 4180, with semicolons or tabs in place of commas, a
// "sep=;" line, any line ends. Called by sample_csv.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fdi::profile {

std::string csv_cell(const std::string& text);  // in quotes where it has to be

// Cells as values. Blank: empty, or what pandas, R and spreadsheets write for a missing value ("nan", "NA", "#N/A").
// Whole numbers may be written 3.0, as programs do whose column also has gaps; `decimal_comma`: 1,5 is 1.5. False
// where the cell is no such value, or no finite number.
bool is_blank(const std::string& cell);
bool read_number(const std::string& cell, bool decimal_comma, double& out);
bool read_whole(const std::string& cell, bool decimal_comma, int64_t& out);
bool read_truth(const std::string& cell, bool& out);           // true, TRUE, 1
std::vector<std::string> split_list(const std::string& cell);  // "3;4" -> 3, 4
std::string lower_case(std::string text);                      // ASCII

// Text cut into rows of cells, without the spaces around them; quotes may hold anything. The separator is what the
// first row has most of.
class CsvReader {
 public:
  // Throws Error for a file that is compressed, a spreadsheet's own, or UTF-16: says how to turn it into text.
  CsvReader(std::string_view text, std::string where);
  // The next row that is not empty; false at the end. Throws Error for a quote that is not closed, or closed too early.
  bool next(std::vector<std::string>& cells);
  std::string who() const;  // "f.csv: row 7", of the last row; the header is row 1
  // A semicolon or a tab: numbers may be written with a decimal comma.
  bool decimal_comma() const { return separator_ != ','; }

 private:
  bool cell(std::string& out);
  bool at_line_end() const { return at_ >= text_.size() || text_[at_] == '\n' || text_[at_] == '\r'; }

  std::string_view text_;
  std::string where_;
  char separator_ = ',';
  size_t at_ = 0;
  int row_ = 0;
};

}  // namespace fdi::profile
