#pragma once
// What rows two tables do not have in common.
#include <cstddef>
#include <string>

namespace mlac {

struct TableDifference {
  size_t num_rows_before = 0, num_rows_after = 0;
  size_t num_rows_added = 0, num_rows_removed = 0;  // by the content of all columns, wherever they stand; a row that occurs twice counts twice
};

// CSV, TSV, JSON Lines or lines of text, by the name's end; of JSON Lines the lines are compared as they stand. Throws what OpenTable throws.
TableDifference CompareTables(const std::string& before, const std::string& after);

// Whether a file's name ends as that of a table.
bool IsTable(const std::string& path);

}  // namespace mlac
