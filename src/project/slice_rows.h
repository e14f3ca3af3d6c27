#pragma once
// Which rows of the test data are in the parts that a file of tests looks at.
#include <span>
#include <string>
#include <vector>

#include "project/model_task.h"
#include "project/model_tests.h"

namespace mlac {

// The columns that a slice may name: of a table all, of a folder texts and labels, of words with tags and the like none. Throws what
// reading its head throws.
std::vector<std::string> SliceColumnsOf(const std::string& path, const ModelData& columns);

// Throws kInvalidInput with the file of tests and the line for a slice of a column that is not among those that there are. data: whose
// columns they are, for the message: "test.csv".
void CheckSliceColumns(const ModelTests& tests, const std::string& data, const std::vector<std::string>& there);

class SliceRows {
 public:
  // rows: of task.rows. Throws as CheckSliceColumns and OpenTable.
  SliceRows(const ModelTask& task, const ModelData& data, std::span<const TestRow> rows, const ModelTests& tests);

  // Whether each row is in the slice: the rows that were given, of a task with measure_rows those of read_rows. Throws what matching
  // throws.
  std::vector<bool> In(const SliceTest& test) const;

 private:
  const ModelTask& task_;
  ModelData data_;
  std::vector<std::string> columns_;             // that slices name
  std::vector<std::string> texts_;               // whose length and words are looked at, one a row
  std::vector<std::vector<std::string>> cells_;  // one a row and column; empty without columns
};

}  // namespace mlac
