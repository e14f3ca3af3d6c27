#include "data/texts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
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

constexpr size_t kShownLabel = 40;  // columns of a label in a message

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
  size_t num_unlabelled = 0, first_unlabelled = 0;
  while (reader.Next(cells)) {
    if (cells[1].empty() && !options.targets) {
      if (num_unlabelled++ == 0) first_unlabelled = reader.line();
      continue;
    }
    data.labels.push_back(ids.Id(options.targets ? "" : cells[1], fmt::format("{}: line {}", reader.name(), reader.line())));
    data.texts.push_back(std::move(cells[0]));
    if (options.targets) data.targets.push_back(std::move(cells[1]));
    if (cells.size() > 2) data.pairs.push_back(std::move(cells[2]));
    data.lines.push_back(reader.line());
  }
  if (num_unlabelled > 0)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: line {}: the column '{}' is empty{}", reader.name(), first_unlabelled, Printable(options.label_column, 40),
                            num_unlabelled == 1 ? "" : fmt::format(", and in {} more rows", num_unlabelled - 1)),
                "give every row a label, or leave the row out");
  data.texts.shrink_to_fit();
  data.notes = reader.notes();
  ids.Finish();
  return data;
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
