#include "project/slice_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "data/table.h"
#include "data/texts.h"
#include "project/text_pattern.h"

namespace mlac {
namespace {

bool HasColumns(const std::string& path) {
  try {
    return TableFormatOf(path) != TableFormat::kTextLines;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    return false;  // .conll, SQuAD's .json
  }
}

// A list of cells a row, found by the line that it stands in: readers pass over lines, and make several rows of one.
std::vector<std::vector<std::string>> CellsOf(const std::string& path, const std::vector<std::string>& columns,
                                              std::span<const TestRow> rows) {
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = columns, .list_separator = kListSeparator});
  std::unordered_map<size_t, std::vector<std::string>> by_line;
  std::vector<std::string> cells;
  while (reader->Next(cells)) by_line.emplace(reader->line(), cells);
  std::vector<std::vector<std::string>> out;
  for (const TestRow& row : rows) out.push_back(by_line.at(row.line));
  return out;
}

// Of a folder of texts: its columns are those that are at hand anyway.
std::vector<std::vector<std::string>> CellsOfFolder(const ModelData& data, const std::vector<std::string>& columns,
                                                    std::span<const TestRow> rows) {
  std::vector<std::vector<std::string>> out;
  for (const TestRow& row : rows) {
    std::vector<std::string>& cells = out.emplace_back();
    for (const std::string& column : columns) cells.push_back(column == data.text_column ? row.input.text : row.truth.front());
  }
  return out;
}

}  // namespace

std::vector<std::string> SliceColumnsOf(const std::string& path, const ModelData& columns) {
  if (FolderExists(path)) return {columns.text_column, columns.target_column};
  return HasColumns(path) ? ColumnNames(path) : std::vector<std::string>();
}

void CheckSliceColumns(const ModelTests& tests, const std::string& data, const std::vector<std::string>& there) {
  for (const SliceTest& test : tests.slices) {
    if (test.column.empty() || std::find(there.begin(), there.end(), test.column) != there.end()) continue;
    const std::string where = fmt::format("{}: line {}: slices", tests.file, test.line);
    if (there.empty())
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: 'column': {} has no columns", where, data),
                  "a .jsonl file may have keys beside those that the task reads");
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} has no column {}", where, data, Quoted(test.column)),
                KnownNames(test.column, there));
  }
}

SliceRows::SliceRows(const ModelTask& task, const ModelData& data, std::span<const TestRow> rows, const ModelTests& tests)
    : task_(task), data_(data), columns_(tests.Columns()) {
  if (!columns_.empty()) CheckSliceColumns(tests, std::filesystem::path(data.test).filename().string(), SliceColumnsOf(data.test, data));
  if (task.measure_rows != nullptr) {
    for (PreparedRow& row : task.read_rows(data.test, data, columns_).rows) {
      texts_.push_back(std::move(row.text));
      cells_.push_back(std::move(row.columns));
    }
    return;
  }
  for (const TestRow& row : rows) texts_.push_back(row.input.text);
  if (!columns_.empty()) cells_ = FolderExists(data.test) ? CellsOfFolder(data, columns_, rows) : CellsOf(data.test, columns_, rows);
}

std::vector<bool> SliceRows::In(const SliceTest& test) const {
  const std::optional<TextPattern> pattern = test.matches.empty() ? std::nullopt : std::make_optional<TextPattern>(test.matches);
  const auto column = static_cast<size_t>(std::find(columns_.begin(), columns_.end(), test.column) - columns_.begin());
  const auto has_value = [&](size_t row) {
    const std::vector<std::string> values = ValuesOfCell(task_, data_, test.column, cells_[row][column]);
    return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
      return std::find(test.equals.begin(), test.equals.end(), value) != test.equals.end();
    });
  };
  std::vector<bool> is_in(texts_.size());
  for (size_t row = 0; row < texts_.size(); ++row) {
    const size_t length = CountCodePoints(texts_[row]);
    is_in[row] = length >= test.min_length.value_or(0) && (!test.max_length || length <= *test.max_length) &&
                 (test.column.empty() || has_value(row)) && (!pattern || pattern->FoundIn(texts_[row]));
  }
  return is_in;
}

}  // namespace mlac
