#include "data/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "base/nearest_name.h"
#include "data/csv.h"
#include "data/json_lines.h"

namespace mlac {
namespace {

struct FormatName {
  std::string_view ending;
  TableFormat format;
};
constexpr std::array<FormatName, 6> kFormats = {{
    {".csv", TableFormat::kCsv},
    {".tsv", TableFormat::kTsv},
    {".tab", TableFormat::kTsv},
    {".jsonl", TableFormat::kJsonLines},
    {".ndjson", TableFormat::kJsonLines},
    {".txt", TableFormat::kTextLines},
}};

class TextLinesReader : public TableReader {
 public:
  TextLinesReader(ByteStream stream, TableOptions options) : TableReader(std::move(stream), std::move(options)) {
    if (options_.columns.size() != 1)
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: a file of plain lines has one column, {} are asked for", name(), options_.columns.size()),
                  "use CSV, TSV or JSONL");
  }

 protected:
  bool ReadRow(std::vector<std::string>& cells) override {
    line_ = stream_.line();
    return ReadLine(stream_, options_.max_row_bytes, cells[0]);
  }
};

}  // namespace

TableFormat TableFormatOf(const std::string& path) {
  std::string lower = path;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto& [ending, format] : kFormats) {
    if (lower.ends_with(ending)) return format;
  }
  std::string hint;
  if (lower.ends_with(".json")) hint = "one JSON object a line is .jsonl; a JSON array becomes that with: jq -c '.[]' FILE > NEW.jsonl";
  if (lower.ends_with(".xlsx") || lower.ends_with(".xls")) hint = "in Excel: Save As, 'CSV UTF-8'";
  if (lower.ends_with(".gz") || lower.ends_with(".zst") || lower.ends_with(".zip")) hint = "unpack it first";
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: expected a file named .csv, .tsv, .jsonl or .txt", Printable(path)), hint);
}

TableReader::TableReader(ByteStream stream, TableOptions options) : stream_(std::move(stream)), options_(std::move(options)) {
  if (stream_.Peek() == ByteStream::kEnd) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the file is empty", name()));
}

bool TableReader::Next(std::vector<std::string>& cells) {
  cells.resize(options_.columns.size());
  if (ReadRow(cells)) return any_ = true;
  if (!any_) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected rows, found none", name()));
  return false;
}

std::unique_ptr<TableReader> OpenTable(const std::string& path, TableOptions options) {
  const TableFormat format = TableFormatOf(path);
  return OpenTable(ByteStream(path), format, std::move(options));
}

std::unique_ptr<TableReader> OpenTable(ByteStream stream, TableFormat format, TableOptions options) {
  switch (format) {
    case TableFormat::kCsv:
      return std::make_unique<CsvReader>(std::move(stream), std::move(options), /*delimiter=*/'\0');
    case TableFormat::kTsv:
      return std::make_unique<CsvReader>(std::move(stream), std::move(options), /*delimiter=*/'\t');
    case TableFormat::kJsonLines:
      return std::make_unique<JsonLinesReader>(std::move(stream), std::move(options));
    case TableFormat::kTextLines:
      return std::make_unique<TextLinesReader>(std::move(stream), std::move(options));
  }
  throw Error(ErrorCode::kInternal, "a table format without a reader");
}

std::string FirstJsonLine(const std::string& path) {
  ByteStream stream(path);
  std::string line;
  while (line.find_first_not_of(" \t") == std::string::npos)
    if (!ReadLine(stream, TableOptions().max_row_bytes, line)) return "";
  return line;
}

std::vector<std::string> ColumnNames(const std::string& path) {
  const TableFormat format = TableFormatOf(path);
  if (format == TableFormat::kTextLines)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: plain lines have no columns", path), "expected CSV, TSV or JSONL");
  if (format != TableFormat::kJsonLines) return CsvReader(ByteStream(path), {}, format == TableFormat::kTsv ? '\t' : '\0').columns();
  const nlohmann::json object = ParseJsonOrDiscard(FirstJsonLine(path));
  std::vector<std::string> names;
  if (object.is_object())
    for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

void ThrowMissingColumn(std::string_view where, std::string_view missing, const std::vector<std::string>& known, std::string_view hint) {
  constexpr size_t kMostShown = 20, kWidest = 40;
  std::string list;
  for (size_t i = 0; i < known.size() && i < kMostShown; ++i)
    list += fmt::format("{}'{}'", i == 0 ? "" : ", ", Printable(known[i], kWidest));
  if (known.size() > kMostShown) list += fmt::format(" and {} more", known.size() - kMostShown);
  const std::string nearest = NearestName(missing, known);
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: expected a column '{}', found {}", where, Printable(missing, kWidest), list.empty() ? "none" : list),
              nearest.empty() ? std::string(hint) : fmt::format("did you mean '{}'?", Printable(nearest, kWidest)));
}

}  // namespace mlac
