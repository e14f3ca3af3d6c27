#include "data/csv.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/display.h"
#include "base/error.h"

namespace mlac {
namespace {

constexpr size_t kMostColumns = 65536;  // a name costs more memory than its bytes in the file

std::string_view DelimiterName(char delimiter) { return delimiter == '\t' ? "tab" : delimiter == ';' ? "';'" : "','"; }

// The names that the first line holds under a delimiter, quotes understood. `start` may end in mid-line: then the last is partial.
std::vector<std::string> NamesUnder(std::string_view start, char delimiter) {
  std::vector<std::string> names(1);
  bool quoted = false, field_start = true;
  for (size_t i = 0; i < start.size(); ++i) {
    const char c = start[i];
    if (quoted) {
      if (c != '"')
        names.back() += c;
      else if (i + 1 < start.size() && start[i + 1] == '"')
        names.back() += start[++i];
      else
        quoted = false;
    } else if (c == '"' && field_start) {
      quoted = true;
    } else if (c == delimiter) {
      names.emplace_back();
      field_start = true;
      continue;
    } else if (c == '\n' || c == '\r') {
      break;
    } else {
      names.back() += c;
    }
    field_start = false;
  }
  return names;
}

char RecogniseDelimiter(std::string_view start, const std::vector<std::string>& wanted) {
  char best = ',';
  std::pair<size_t, size_t> most = {0, 0};
  for (const char delimiter : {',', ';', '\t'}) {
    const std::vector<std::string> names = NamesUnder(start, delimiter);
    const size_t num_wanted = static_cast<size_t>(std::count_if(
        wanted.begin(), wanted.end(), [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }));
    if (std::pair(num_wanted, names.size()) > most) {
      most = {num_wanted, names.size()};
      best = delimiter;
    }
  }
  return best;
}

}  // namespace

CsvReader::CsvReader(ByteStream stream, TableOptions options, char delimiter) : TableReader(std::move(stream), std::move(options)) {
  if (!SkipEmptyLines())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a line that names the columns, found empty lines", name()));
  const size_t header_line = stream_.line();
  delimiter_ = delimiter != '\0' ? delimiter : RecogniseDelimiter(stream_.Buffered(), options_.columns);
  if (delimiter == '\0' && delimiter_ != ',')
    notes_.push_back(fmt::format("{}: delimiter {} recognised", name(), DelimiterName(delimiter_)));
  do {
    if (columns_.size() == kMostColumns)
      throw Error(ErrorCode::kTooLarge, fmt::format("{}: line {} names more than {} columns", name(), header_line, kMostColumns));
    ReadField(&columns_.emplace_back());
  } while (AnotherField());
  targets_.assign(columns_.size(), kPassedOver);
  for (size_t i = 0; i < options_.columns.size(); ++i) {
    const std::string& wanted = options_.columns[i];
    const auto found = std::find(columns_.begin(), columns_.end(), wanted);
    if (found == columns_.end()) ThrowMissingColumn(name(), wanted, columns_, options_.column_hint);
    const auto again = std::find(found + 1, columns_.end(), wanted);
    if (again != columns_.end())
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: line {}: expected one column '{}', found it as columns {} and {}", name(), header_line,
                              Printable(wanted, 40), found - columns_.begin() + 1, again - columns_.begin() + 1));
    targets_[static_cast<size_t>(found - columns_.begin())] = i;
  }
}

bool CsvReader::ReadRow(std::vector<std::string>& cells) {
  if (!SkipEmptyLines()) return false;
  line_ = stream_.line();
  row_bytes_ = 0;
  size_t num_fields = 0;
  do {
    const size_t target = num_fields < targets_.size() ? targets_[num_fields] : kPassedOver;
    std::string* field = target == kPassedOver ? nullptr : &cells[target];
    if (field != nullptr) field->clear();
    ReadField(field);
    ++num_fields;
  } while (AnotherField());
  if (num_fields != columns_.size()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: line {}: expected {} {} as in the header, found {}", name(), line_, columns_.size(),
                            columns_.size() == 1 ? "field" : "fields", num_fields),
                num_fields > columns_.size()
                    ? fmt::format("a field that holds {} or a line break stands in double quotes", DelimiterName(delimiter_))
                    : "");
  }
  return true;
}

bool CsvReader::SkipEmptyLines() {
  while (stream_.Peek() == '\n' || stream_.Peek() == '\r') stream_.Get();
  return stream_.Peek() != ByteStream::kEnd;
}

void CsvReader::ReadField(std::string* field) {
  if (stream_.Peek() == '"') return ReadQuotedField(field);
  for (;;) {
    const int byte = stream_.Peek();
    if (byte == ByteStream::kEnd || byte == '\n' || byte == '\r' || byte == delimiter_) return;
    Take();
    if (field != nullptr) *field += static_cast<char>(byte);
  }
}

void CsvReader::ReadQuotedField(std::string* field) {
  const size_t opened = stream_.line();
  Take();
  for (;;) {
    if (stream_.Peek() == ByteStream::kEnd)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: a quote opens here and is never closed", name(), opened),
                  "a quote inside a quoted field is written twice");
    if (row_bytes_ == options_.max_row_bytes)
      throw Error(ErrorCode::kTooLarge,
                  fmt::format("{}: line {}: a quote opens here and is not closed within {} bytes", name(), opened, options_.max_row_bytes),
                  "a quote inside a quoted field is written twice");
    int byte = Take();
    if (byte == '"') {
      if (stream_.Peek() != '"') break;
      byte = Take();
    }
    if (field != nullptr) *field += static_cast<char>(byte);
  }
  const int next = stream_.Peek();
  if (next == ByteStream::kEnd || next == '\n' || next == '\r' || next == delimiter_) return;
  const size_t closed = stream_.line();
  std::string found;
  for (int byte = next; found.size() < 32 && byte != ByteStream::kEnd && byte != '\n' && byte != '\r'; byte = stream_.Peek())
    found += static_cast<char>(stream_.Get());
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: line {}: a quote opens here and is closed {}, where {} or the end of the line is expected and '{}' found",
                          name(), opened, closed == opened ? "on the same line" : fmt::format("on line {}", closed),
                          DelimiterName(delimiter_), Printable(found, 8)),
              "a quote inside a quoted field is written twice");
}

bool CsvReader::AnotherField() {
  const int byte = Take();
  if (byte == delimiter_) return true;
  if (byte == '\r' && stream_.Peek() == '\n') stream_.Get();
  return false;
}

int CsvReader::Take() {
  const int byte = stream_.Get();
  if (byte != ByteStream::kEnd && ++row_bytes_ > options_.max_row_bytes)
    throw Error(ErrorCode::kTooLarge,
                fmt::format("{}: line {}: the row is longer than {} bytes", name(), line_ == 0 ? 1 : line_, options_.max_row_bytes));
  return byte;
}

}  // namespace mlac
