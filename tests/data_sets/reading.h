#pragma once
// What the tests of the readers share.
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "data/table.h"

namespace mlac {

using Row = std::vector<std::string>;

struct Rows {
  std::vector<Row> cells;
  std::vector<size_t> lines;
  std::vector<std::string> notes;
};

inline Rows ReadRows(TableReader& reader) {
  Rows rows;
  for (Row cells; reader.Next(cells);) {
    rows.cells.push_back(cells);
    rows.lines.push_back(reader.line());
  }
  rows.notes = reader.notes();
  return rows;
}

// The text of the Error that `call` throws, "" if it throws none.
inline std::string ErrorOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace mlac
