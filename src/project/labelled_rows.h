#pragma once
// Rows of labelled data with the columns that are asked for: read from any table, written as CSV.
#include <string>
#include <vector>

namespace mlac {

struct LabelledRows {
  std::vector<std::string> columns;             // text and label first
  std::vector<std::vector<std::string>> cells;  // a row, a cell a column
};

// columns[0] and [1] are text and label; a folder of texts has these two alone, under whatever names. Throws as OpenTable and
// ReadLabelledTexts.
LabelledRows ReadLabelledRows(const std::string& path, const std::vector<std::string>& columns);

// RFC 4180, the first line names the columns; whole or not at all.
void WriteCsv(const std::string& path, const LabelledRows& rows);

}  // namespace mlac
