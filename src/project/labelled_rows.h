#pragma once
// Rows of labelled data with the columns that are asked for, from any table, and as CSV has them.
#include <string>
#include <vector>

namespace mlac {

struct LabelledRows {
  std::vector<std::string> columns;             // text and label first
  std::vector<std::vector<std::string>> cells;  // a row, a cell a column
};

// columns[0] and [1] are text and label; a folder of texts has these two alone, under whatever names. Labels of a table lose the blanks at
// their ends, as ReadLabelledTexts has it; empty ones stay. Throws as OpenTable and ReadLabelledTexts.
LabelledRows ReadLabelledRows(const std::string& path, const std::vector<std::string>& columns);

// A row as RFC 4180 has it, each cell in quotation marks, with the end of its line.
std::string CsvLine(const std::vector<std::string>& cells);

}  // namespace mlac
