#include "hub/table_difference.h"

#include <functional>
#include <unordered_map>

#include "base/error.h"
#include "data/csv.h"
#include "data/table.h"

namespace mlac {
namespace {

constexpr size_t kLargestRow = size_t{16} << 20;

// Calls body with each row as one text that no other row has.
template <typename Body>
void ForEachRow(const std::string& path, Body body) {
  const TableFormat format = TableFormatOf(path);
  std::string row;
  if (format == TableFormat::kJsonLines || format == TableFormat::kTextLines) {
    ByteStream stream(path);
    while (ReadLine(stream, kLargestRow, row))
      if (format == TableFormat::kTextLines || row.find_first_not_of(" \t") != std::string::npos) body(row);
    return;
  }
  const char delimiter = format == TableFormat::kTsv ? '\t' : '\0';
  const CsvReader header(ByteStream(path), {.columns = {}}, delimiter);
  CsvReader reader(ByteStream(path), {.columns = header.columns()}, header.delimiter());
  std::vector<std::string> cells;
  while (reader.Next(cells)) {
    row.clear();
    for (const std::string& cell : cells) {
      // The length before each, so that ("a", "bc") and ("ab", "c") differ.
      const size_t length = cell.size();
      row.append(reinterpret_cast<const char*>(&length), sizeof length);
      row += cell;
    }
    body(row);
  }
}

}  // namespace

bool IsTable(const std::string& path) {
  try {
    TableFormatOf(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TableDifference CompareTables(const std::string& before, const std::string& after) {
  TableDifference difference;
  // How often a row occurs more before than after, by its hash: 64 bits are enough for a count that people read.
  std::unordered_map<size_t, long> surplus;
  ForEachRow(before, [&](const std::string& row) {
    ++difference.num_rows_before;
    ++surplus[std::hash<std::string>()(row)];
  });
  ForEachRow(after, [&](const std::string& row) {
    ++difference.num_rows_after;
    --surplus[std::hash<std::string>()(row)];
  });
  for (const auto& [hash, count] : surplus) (count > 0 ? difference.num_rows_removed : difference.num_rows_added) += static_cast<size_t>(std::abs(count));
  return difference;
}

}  // namespace mlac
