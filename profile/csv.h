// Comma-separated text as spreadsheets write it (RFC 4180). Called by sample_csv.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace fdi::profile {

std::string csv_cell(const std::string& text);  // in quotes where it has to be

// Text cut into rows of cells; quotes may hold anything.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string where);
  // The next row that is not empty; false at the end. Throws Error for a quote that is not closed, or closed too early.
  bool next(std::vector<std::string>& cells);
  std::string who() const;  // "f.csv: row 7", of the last row; the header is row 1

 private:
  bool cell(std::string& out);

  std::string_view text_;
  std::string where_;
  size_t at_ = 0;
  int row_ = 0;
};

}  // namespace fdi::profile
