#include "data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/display.h"
#include "base/error.h"

namespace mlac {
namespace {

constexpr size_t kMostColumns = 65536;  // a name costs more memory than its bytes in the file

std::string DelimiterName(char delimiter) { return delimiter == '\t' ? "tab" : fmt::format("'{}'", delimiter); }

// Whether one of the names is a number or a sentence, as rows hold them: the line that names the columns is then probably missing.
bool LooksLikeData(const std::vector<std::string>& names) {
  constexpr long kMostBlanks = 4;  // five words, "date of the last answer", may still name a column
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    double number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    return (error == std::errc() && end == name.data() + name.size()) || std::count(name.begin(), name.end(), ' ') > kMostBlanks;
  });
}

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
  const char separator = TakeSeparatorLine();
  if (separator != '\0' && !SkipEmptyLines())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a line that names the columns behind 'sep={}', found none", name(), separator));
  const size_t header_line = stream_.line();
  delimiter_ = separator != '\0' ? separator : delimiter != '\0' ? delimiter : RecogniseDelimiter(stream_.Buffered(), options_.columns);
  if (separator != '\0')
    notes_.push_back(fmt::format("{}: delimiter {}, as 'sep=' says", name(), DelimiterName(delimiter_)));
  else if (delimiter == '\0' && delimiter_ != ',')
    notes_.push_back(fmt::format("{}: delimiter {} recognised", name(), DelimiterName(delimiter_)));
  do {
    if (columns_.size() == kMostColumns)
      throw Error(ErrorCode::kTooLarge, fmt::format("{}: line {} names more than {} columns", name(), header_line, kMostColumns));
    ReadField(&columns_.emplace_back());
  } while (AnotherField());
  FindTargets(header_line);
}

void CsvReader::FindTargets(size_t header_line) {
  targets_.assign(columns_.size(), kPassedOver);
  const bool none_is_there = std::none_of(options_.columns.begin(), options_.columns.end(), [&](const std::string& wanted) {
    return std::find(columns_.begin(), columns_.end(), wanted) != columns_.end();
  });
  const std::string hint =
      none_is_there && LooksLikeData(columns_) ? "the first line has to name the columns; is there no header?" : options_.column_hint;
  for (size_t i = 0; i < options_.columns.size(); ++i) {
    const std::string& wanted = options_.columns[i];
    const auto found = std::find(columns_.begin(), columns_.end(), wanted);
    if (found == columns_.end()) ThrowMissingColumn(name(), wanted, columns_, hint);
    const auto again = std::find(found + 1, columns_.end(), wanted);
    if (again != columns_.end())
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: line {}: expected one column '{}', found it as columns {} and {}", name(), header_line,
                              Printable(wanted, 40), found - columns_.begin() + 1, again - columns_.begin() + 1));
    targets_[static_cast<size_t>(found - columns_.begin())] = i;
  }
}

char CsvReader::TakeSeparatorLine() {
  constexpr std::string_view kName = "sep=";
  const std::string_view start = stream_.Buffered();
  if (start.size() <= kName.size()) return '\0';
  for (size_t i = 0; i < kName.size(); ++i)
    if (std::tolower(static_cast<unsigned char>(start[i])) != kName[i]) return '\0';
  const char separator = start[kName.size()], behind = start.size() > kName.size() + 1 ? start[kName.size() + 1] : '\n';
  if (static_cast<unsigned char>(separator) >= 0x80 || separator == '"' || separator == '\r' || separator == '\n' || (behind != '\r' && behind != '\n'))
    return '\0';
  for (size_t i = 0; i <= kName.size(); ++i) stream_.Get();
  return separator;
}

bool CsvReader::ReadRow(std::vector<std::string>& cells) {
  size_t num_fields = 0;
  for (bool is_blank = true; is_blank;) {
    if (!SkipEmptyLines()) {
      NoteBlankRows();
      return false;
    }
    line_ = stream_.line();
    row_bytes_ = num_fields = 0;
    is_blank = columns_.size() > 1;  // in one column an empty text is written ""
    do {
      const size_t target = num_fields < targets_.size() ? targets_[num_fields] : kPassedOver;
      std::string* field = target == kPassedOver ? nullptr : &cells[target];
      if (field != nullptr) field->clear();
      if (ReadField(field)) is_blank = false;
      ++num_fields;
    } while (AnotherField());
    if (is_blank && num_blank_++ == 0) first_blank_line_ = line_;
  }
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

void CsvReader::NoteBlankRows() {
  if (num_blank_ > 0)
    notes_.push_back(num_blank_ == 1 ? fmt::format("{}: line {} has only empty fields and was skipped", name(), first_blank_line_)
                                     : fmt::format("{}: {} rows have only empty fields and were skipped, the first on line {}", name(), num_blank_,
                                                   first_blank_line_));
  num_blank_ = 0;
}

bool CsvReader::ReadField(std::string* field) {
  if (stream_.Peek() == '"') return ReadQuotedField(field);
  for (bool any = false;; any = true) {
    const int byte = stream_.Peek();
    if (byte == ByteStream::kEnd || byte == '\n' || byte == '\r' || byte == delimiter_) return any;
    Take();
    if (field != nullptr) *field += static_cast<char>(byte);
  }
}

bool CsvReader::ReadQuotedField(std::string* field) {
  const size_t opened = stream_.line();
  bool any = false;
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
    any = true;
    if (field != nullptr) *field += static_cast<char>(byte);
  }
  const int next = stream_.Peek();
  if (next == ByteStream::kEnd || next == '\n' || next == '\r' || next == delimiter_) return any;
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
