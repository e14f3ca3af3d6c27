#pragma once
// Rows of named columns from CSV, TSV, JSON Lines or plain lines, one at a time and in bounded memory.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_stream.h"

namespace mlac {

enum class TableFormat {
  kCsv,        // RFC 4180, first line names the columns; ',' ';' or tab, recognised from it
  kTsv,        // the same with tabs
  kJsonLines,  // one JSON object a line
  kTextLines,  // one text a line, the value of whatever column is asked for
};

// By the end of the name: .csv, .tsv or .tab, .jsonl or .ndjson, .txt, in any case. Throws kUnsupported for others.
TableFormat TableFormatOf(const std::string& path);

struct TableOptions {
  std::vector<std::string> columns = {};    // to be read, at least one; others are passed over
  size_t max_row_bytes = size_t{16} << 20;  // a longer row is refused
  size_t max_json_depth = 64;
  // JSON Lines: a list of strings becomes one cell, with this between its items; "": a list is refused.
  std::string list_separator = {};
  std::string column_hint = {};  // of the error for a missing column whose name is near no other: which options name the columns
};

// Messages name the file, the line where the row starts (from 1; LF, CRLF and CR alone each end a line), expected and found.
// Not for several threads.
class TableReader {
 public:
  virtual ~TableReader() = default;
  TableReader(const TableReader&) = delete;
  TableReader& operator=(const TableReader&) = delete;

  // Reads the next row: cells[i] becomes the value of columns[i]. False at the end. Throws kInvalidInput for a file without rows
  // and for what the format does not allow, kTooLarge for a row above the limit.
  bool Next(std::vector<std::string>& cells);

  size_t line() const { return line_; }                             // where the row that Next gave starts
  const std::vector<std::string>& notes() const { return notes_; }  // what was recognised: "train.csv: delimiter ';' recognised"
  const std::string& name() const { return stream_.name(); }
  uint64_t num_bytes_read() const { return stream_.offset(); }

 protected:
  TableReader(ByteStream stream, TableOptions options);
  virtual bool ReadRow(std::vector<std::string>& cells) = 0;  // sets line_

  ByteStream stream_;
  const TableOptions options_;
  size_t line_ = 0;
  std::vector<std::string> notes_;

 private:
  bool any_ = false;
};

// Opens a file in the format that its name says. Throws kNotFound, kUnsupported, and what the reader throws: kInvalidInput for a
// file without the columns, naming those that it has.
std::unique_ptr<TableReader> OpenTable(const std::string& path, TableOptions options);
std::unique_ptr<TableReader> OpenTable(ByteStream stream, TableFormat format, TableOptions options);

// The names of a file's columns: of CSV and TSV those of its first line, of JSON Lines the keys of its first object, none if that is no object. Throws
// kUnsupported for plain lines, and what OpenTable throws.
std::vector<std::string> ColumnNames(const std::string& path);

// The first line of JSON Lines that is not blank; "" where all are. Throws as ColumnNames.
std::string FirstJsonLine(const std::string& path);

// Throws kInvalidInput that names `missing`, the names that are there and the nearest of them; where none is near the hint is `hint`.
// where: "train.csv".
[[noreturn]] void ThrowMissingColumn(std::string_view where, std::string_view missing, const std::vector<std::string>& known,
                                     std::string_view hint = "");

}  // namespace mlac
