#include "project/labelled_rows.h"

#include "base/file.h"
#include "data/table.h"
#include "data/texts.h"

namespace mlac {
namespace {

// Quoted whatever it holds: a text that looks like a number or begins with a blank stays what it is.
void AppendCell(std::string& out, const std::string& cell) {
  out += '"';
  for (const char c : cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  out += '"';
}

}  // namespace

LabelledRows ReadLabelledRows(const std::string& path, const std::vector<std::string>& columns) {
  LabelledRows rows = {columns, {}};
  if (FolderExists(path)) {
    if (columns.size() > 2) ThrowMissingColumn(path, columns[2], {columns[0], columns[1]});
    const LabelledTexts texts = ReadLabelledTexts(path, {});
    for (size_t i = 0; i < texts.size(); ++i)
      rows.cells.push_back({texts.texts[i], texts.label_names[static_cast<size_t>(texts.labels[i])]});
    return rows;
  }
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = columns});
  std::vector<std::string> cells;
  while (reader->Next(cells)) {
    if (cells.size() > 1) cells[1] = std::string(TrimmedLabel(cells[1]));
    rows.cells.push_back(cells);
  }
  return rows;
}

std::string CsvLine(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    AppendCell(line, cells[i]);
  }
  return line + '\n';
}

}  // namespace mlac
