#include "data/texts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <unordered_map>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/nearest_name.h"
#include "base/utf8.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

std::string OwnName(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  const fs::path name = normal.has_filename() ? normal.filename() : normal.parent_path().filename();
  return name.empty() ? path : name.string();
}

bool IsInteger(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  return !digits.empty() && digits.size() <= 18 && digits.find_first_not_of("0123456789") == std::string_view::npos;
}

int64_t ToInteger(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Gives each label name an id, first by the order of appearance; Finish() renumbers.
class LabelIds {
 public:
  LabelIds(const LabelledTextsOptions& options, LabelledTexts& data) : fixed_(!options.label_names.empty()), data_(data) {
    data_.label_names = options.label_names;
    for (size_t i = 0; i < data_.label_names.size(); ++i) ids_.emplace(data_.label_names[i], static_cast<int32_t>(i));
  }

  // Whether it was given as one of the labels.
  bool IsGiven(const std::string& name) const { return fixed_ && ids_.contains(name); }

  // where: the row's place, for the message.
  int32_t Id(const std::string& name, const std::string& where) {
    const auto [entry, is_new] = ids_.emplace(name, static_cast<int32_t>(ids_.size()));
    if (!is_new) return entry->second;
    if (fixed_) {
      ids_.erase(entry);
      const std::string nearest = NearestName(name, data_.label_names);
      std::string known;
      for (size_t i = 0; i < data_.label_names.size() && i < 20; ++i)
        known += fmt::format("{}'{}'", i == 0 ? "" : ", ", Printable(data_.label_names[i], kShownLabel));
      if (data_.label_names.size() > 20) known += fmt::format(" and {} more", data_.label_names.size() - 20);
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: expected a label among {}, found '{}'", where, known, Printable(name, kShownLabel)),
                  nearest.empty() ? "" : fmt::format("did you mean '{}'?", Printable(nearest, kShownLabel)));
    }
    data_.label_names.push_back(name);
    return entry->second;
  }

  void Finish() {
    if (fixed_) return;
    SortLabelNames(data_.label_names);
    std::vector<int32_t> sorted_ids(data_.label_names.size());
    for (size_t i = 0; i < data_.label_names.size(); ++i)
      sorted_ids[static_cast<size_t>(ids_.at(data_.label_names[i]))] = static_cast<int32_t>(i);
    for (int32_t& label : data_.labels) label = sorted_ids[static_cast<size_t>(label)];
  }

 private:
  bool fixed_;
  LabelledTexts& data_;
  std::unordered_map<std::string, int32_t> ids_;
};

// The names in a folder, in the order of their bytes; hidden ones are left out.
std::vector<fs::path> SortedEntries(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const std::string& name : NamesIn(folder.string()))
    if (!name.starts_with('.')) entries.push_back(folder / name);
  return entries;
}

std::string ReadText(const std::string& path, size_t max_bytes) {
  ByteStream stream(path);
  std::string text;
  for (int byte = stream.Get(); byte != ByteStream::kEnd; byte = stream.Get()) {
    if (text.size() == max_bytes) throw Error(ErrorCode::kTooLarge, fmt::format("{}: the text is longer than {} bytes", path, max_bytes));
    text += static_cast<char>(byte);
  }
  return text;
}

LabelledTexts ReadLabelFolders(const std::string& path, const LabelledTextsOptions& options) {
  LabelledTexts data;
  data.source = OwnName(path);
  LabelIds ids(options, data);
  size_t num_passed_over = 0, num_label_folders = 0;
  for (const fs::path& folder : SortedEntries(path)) {
    if (!fs::is_directory(folder)) {
      ++num_passed_over;
      continue;
    }
    ++num_label_folders;
    const std::string label = folder.filename().string();
    if (FindInvalidUtf8(label) != std::string::npos)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected label folders with UTF-8 names, found '{}'", path, Printable(label)));
    size_t num_texts = 0;
    for (const fs::path& file : SortedEntries(folder)) {
      if (file.extension() != ".txt" || fs::is_directory(file)) {
        ++num_passed_over;
        continue;
      }
      data.files.push_back(label + "/" + Printable(file.filename().string()));
      data.labels.push_back(ids.Id(label, data.source + "/" + data.files.back()));
      data.texts.push_back(ReadText(file.string(), options.max_row_bytes));
      data.lines.push_back(1);
      ++num_texts;
    }
    if (num_texts == 0)
      data.notes.push_back(
          fmt::format("{}: the folder '{}' holds no .txt file and gives no label", data.source, Printable(label, kShownLabel)));
  }
  if (data.texts.empty())
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected one folder of .txt files a label, found {} {} and no text in them", path, num_label_folders,
                            num_label_folders == 1 ? "folder" : "folders"),
                "a text stands in FOLDER/LABEL/NAME.txt");
  if (num_passed_over > 0)
    data.notes.push_back(fmt::format("{}: {} {} passed over, only LABEL/*.txt {} read", data.source, num_passed_over,
                                     num_passed_over == 1 ? "entry was" : "entries were", data.texts.size() == 1 ? "is" : "are"));
  ids.Finish();
  return data;
}

// Rows without a label: where the first of them are.
class UnlabelledRows {
 public:
  void Add(size_t line) {
    if (count_++ < kShown) lines_.push_back(line);
  }
  size_t count() const { return count_; }
  // "line 48", "lines 48, 50, 53 and 2 more".
  std::string Places() const {
    return fmt::format("{} {}{}", count_ == 1 ? "line" : "lines", fmt::join(lines_, ", "),
                       count_ > lines_.size() ? fmt::format(" and {} more", count_ - lines_.size()) : "");
  }

 private:
  static constexpr size_t kShown = 5;
  std::vector<size_t> lines_;
  size_t count_ = 0;
};

std::vector<std::string> ColumnsOf(const LabelledTextsOptions& options) {
  std::vector<std::string> columns = {options.text_column, options.label_column};
  if (!options.pair_column.empty()) columns.push_back(options.pair_column);
  return columns;
}

}  // namespace

std::string LabelledTexts::Key(size_t row) const { return pairs.empty() ? texts[row] : texts[row] + kListSeparator + pairs[row]; }

std::string LabelledTexts::Place(size_t row) const {
  return files.empty() ? fmt::format("{} line {}", source, lines.at(row)) : source + "/" + files.at(row);
}

LabelledTexts ReadLabelledTexts(const std::string& path, const LabelledTextsOptions& options) {
  if (FolderExists(path)) {
    if (!options.pair_column.empty() || options.targets)
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: a folder of texts holds one label a text, and no pairs", path), "expected CSV, TSV or JSONL");
    return ReadLabelFolders(path, options);
  }
  if (options.text_column == options.pair_column || options.label_column == options.pair_column)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("expected a column of its own for the second text, found '{}' twice", Printable(options.pair_column, 40)));
  if (options.text_column == options.label_column)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("expected different columns for text and label, found '{}' for both", Printable(options.text_column, 40)));
  if (FileExists(path) && TableFormatOf(path) == TableFormat::kTextLines)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: plain lines hold no labels", path),
                "expected CSV, TSV, JSONL, or a folder of .txt files a label");
  const std::unique_ptr<TableReader> reader = OpenTable(
      path, {.columns = ColumnsOf(options),
             .max_row_bytes = options.max_row_bytes,
             .list_separator = options.targets ? kListSeparator : "",
             .column_hint = options.pair_column.empty() ? "--text-column and --target-column name the columns"
                                                        : "--text-column, --text-pair-column and --target-column name the columns"});
  return ReadLabelledTexts(*reader, options);
}

LabelledTexts ReadLabelledTexts(TableReader& reader, const LabelledTextsOptions& options) {
  LabelledTexts data;
  data.source = OwnName(reader.name());
  LabelIds ids(options, data);
  std::vector<std::string> cells;
  UnlabelledRows unlabelled;
  size_t num_trimmed = 0;
  while (reader.Next(cells)) {
    if (const std::string_view label = TrimmedLabel(cells[1]); !options.targets && label.size() < cells[1].size() && !ids.IsGiven(cells[1])) {
      num_trimmed += !label.empty();
      cells[1] = std::string(label);
    }
    if (options.targets ? options.skip_unlabelled && IsBlank(cells[1]) : cells[1].empty()) {
      unlabelled.Add(reader.line());
      continue;
    }
    data.labels.push_back(ids.Id(options.targets ? "" : cells[1], fmt::format("{}: line {}", reader.name(), reader.line())));
    data.texts.push_back(std::move(cells[0]));
    if (options.targets) data.targets.push_back(std::move(cells[1]));
    if (cells.size() > 2) data.pairs.push_back(std::move(cells[2]));
    data.lines.push_back(reader.line());
  }
  if (unlabelled.count() > 0 && !options.skip_unlabelled)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: {}: the column '{}' is empty", reader.name(), unlabelled.Places(), Printable(options.label_column, 40)),
                unlabelled.count() == 1 ? "give the row a label, or leave it out with --skip-unlabelled"
                                        : "give these rows a label, or leave them out with --skip-unlabelled");
  data.texts.shrink_to_fit();
  data.notes = reader.notes();
  if (num_trimmed > 0) data.notes.push_back(TrimmedLabelsNote(reader.name(), options.label_column, num_trimmed));
  if (unlabelled.count() > 0)
    data.notes.push_back(fmt::format("{}: {} without a label {} left out ({})", reader.name(),
                                     unlabelled.count() == 1 ? "1 row" : fmt::format("{} rows", unlabelled.count()),
                                     unlabelled.count() == 1 ? "is" : "are", unlabelled.Places()));
  if (data.texts.empty())
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: none of the rows has a label in the column '{}'", reader.name(), Printable(options.label_column, 40)));
  ids.Finish();
  return data;
}

std::string_view TrimmedLabel(std::string_view label) {
  constexpr std::string_view kNoBreakSpace = "\xC2\xA0";
  const auto is_space = [](char c) { return IsBlank({&c, 1}); };
  for (;;) {
    if (label.empty()) return label;
    if (is_space(label.front()))
      label.remove_prefix(1);
    else if (is_space(label.back()))
      label.remove_suffix(1);
    else if (label.starts_with(kNoBreakSpace))
      label.remove_prefix(kNoBreakSpace.size());
    else if (label.ends_with(kNoBreakSpace))
      label.remove_suffix(kNoBreakSpace.size());
    else
      return label;
  }
}

std::string TrimmedLabelsNote(std::string_view source, std::string_view column, size_t count) {
  if (count == 0) return "";
  return fmt::format("{}: {} in '{}' had blanks at an end and {} read without", source, count == 1 ? "1 label" : fmt::format("{} labels", count),
                     Printable(column, 40), count == 1 ? "is" : "are");
}

std::string_view WithoutSpaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<float> ParseNumberCell(std::string_view cell) {
  const std::string_view digits = WithoutSpaces(cell);
  float value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string DecimalCommaHint(std::string_view cell) {
  const size_t comma = cell.find(',');
  if (comma == std::string_view::npos) return "";
  std::string with_point(cell);
  with_point[comma] = '.';
  double number = 0;
  const auto [end, error] = std::from_chars(with_point.data(), with_point.data() + with_point.size(), number);
  return error == std::errc() && end == with_point.data() + with_point.size() ? fmt::format("a decimal comma? Write {}", with_point) : "";
}

bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

LabelledTexts Subset(const LabelledTexts& data, std::span<const size_t> rows) {
  LabelledTexts subset;
  subset.source = data.source;
  subset.label_names = data.label_names;
  for (const size_t row : rows) {
    subset.texts.push_back(data.texts.at(row));
    subset.labels.push_back(data.labels.at(row));
    subset.lines.push_back(data.lines.at(row));
    if (!data.files.empty()) subset.files.push_back(data.files.at(row));
    if (!data.pairs.empty()) subset.pairs.push_back(data.pairs.at(row));
    if (!data.targets.empty()) subset.targets.push_back(data.targets.at(row));
  }
  return subset;
}

void SortLabelNames(std::vector<std::string>& names) {
  if (!std::all_of(names.begin(), names.end(), IsInteger)) {
    std::sort(names.begin(), names.end());
    return;
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {  // "7" and "007" are two names of one value
    return std::pair<int64_t, std::string_view>(ToInteger(a), a) < std::pair<int64_t, std::string_view>(ToInteger(b), b);
  });
}

Texts ReadTexts(const std::string& path, const std::string& text_column) {
  if (path != "-") return ReadTexts(*OpenTable(path, {.columns = {text_column}, .column_hint = "--text-column names the column"}));
  const int input = dup(STDIN_FILENO);
  if (input < 0) throw Error(ErrorCode::kIo, "standard input is closed");
  return ReadTexts(*OpenTable(ByteStream(FileDescriptor(input), "standard input"), TableFormat::kTextLines, {.columns = {text_column}}));
}

Texts ReadTexts(TableReader& reader) {
  Texts result;
  std::vector<std::string> cells;
  while (reader.Next(cells)) {
    result.texts.push_back(std::move(cells[0]));
    result.lines.push_back(reader.line());
  }
  result.notes = reader.notes();
  return result;
}

}  // namespace mlac
