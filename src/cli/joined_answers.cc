#include "cli/joined_answers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "data/csv.h"
#include "data/table.h"
#include "data/texts.h"

namespace mlac {

// One object a row: what stands in it beside the texts that were read of it.
class InputRows {
 public:
  virtual ~InputRows() = default;
  // The names that every row has, or those of the first row.
  virtual const std::vector<std::string>& columns() const = 0;
  // Rows come in order; line: where this one stands.
  virtual nlohmann::ordered_json Read(size_t line, const TextInput& input) = 0;
};

namespace {

using nlohmann::ordered_json;

[[noreturn]] void ThrowChanged(const std::string& path) {
  throw Error(ErrorCode::kIo, fmt::format("{}: the file changed while it was read", path));
}

// Arguments, standard input and plain lines: there is nothing but the text.
class PlainRows : public InputRows {
 public:
  explicit PlainRows(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  const std::vector<std::string>& columns() const override { return columns_; }
  ordered_json Read(size_t, const TextInput& input) override {
    ordered_json row = ordered_json::object();
    row[columns_[0]] = input.text;
    if (columns_.size() > 1) row[columns_[1]] = input.pair.value_or("");
    return row;
  }

 private:
  std::vector<std::string> columns_;
};

// All columns, read beside the texts by a second reader that the first one's delimiter is told.
class CsvRows : public InputRows {
 public:
  CsvRows(const std::string& path, const std::vector<std::string>& wanted, bool tabs) : path_(path) {
    const CsvReader header(ByteStream(path), {.columns = wanted}, tabs ? '\t' : '\0');
    columns_ = header.columns();
    if (std::count(columns_.begin(), columns_.end(), "") > 1) std::erase(columns_, "");  // of trailing delimiters in a header
    reader_ = std::make_unique<CsvReader>(ByteStream(path), TableOptions{.columns = columns_}, header.delimiter());
  }
  const std::vector<std::string>& columns() const override { return columns_; }
  ordered_json Read(size_t line, const TextInput&) override {
    std::vector<std::string> cells;
    do {
      if (!reader_->Next(cells)) ThrowChanged(path_);
    } while (reader_->line() < line);
    if (reader_->line() != line) ThrowChanged(path_);
    ordered_json row = ordered_json::object();
    for (size_t i = 0; i < columns_.size(); ++i) row[columns_[i]] = std::move(cells[i]);
    return row;
  }

 private:
  std::string path_;
  std::vector<std::string> columns_;
  std::unique_ptr<CsvReader> reader_;
};

// The objects as they stand, lists and numbers included. The reader of the texts has checked each line before.
class JsonRows : public InputRows {
 public:
  explicit JsonRows(const std::string& path) : path_(path), stream_(path) {
    ByteStream first(path);
    std::string line;
    while (columns_.empty() && ReadLine(first, TableOptions().max_row_bytes, line))
      if (const ordered_json object = ParseOrderedJsonOrDiscard(line); object.is_object())
        for (const auto& [name, value] : object.items()) columns_.push_back(name);
  }
  const std::vector<std::string>& columns() const override { return columns_; }
  ordered_json Read(size_t line, const TextInput&) override {
    std::string text;
    for (size_t at = 0; at != line;) {
      at = stream_.line();
      if (at > line || !ReadLine(stream_, TableOptions().max_row_bytes, text)) ThrowChanged(path_);
    }
    ordered_json row = ParseOrderedJsonOrDiscard(text);
    if (!row.is_object()) ThrowChanged(path_);
    return row;
  }

 private:
  std::string path_;
  ByteStream stream_;
  std::vector<std::string> columns_;
};

std::unique_ptr<InputRows> OpenRows(const TextInputOptions& input, bool is_question) {
  const TableFormat format = input.file.empty() ? TableFormat::kTextLines : TableFormatOf(input.file);
  std::vector<std::string> wanted = {input.text_column};
  if (!input.pair_column.empty()) wanted.push_back(input.pair_column);
  switch (format) {
    case TableFormat::kCsv:
    case TableFormat::kTsv:
      return std::make_unique<CsvRows>(input.file, wanted, format == TableFormat::kTsv);
    case TableFormat::kJsonLines:
      return std::make_unique<JsonRows>(input.file);
    case TableFormat::kTextLines:
      break;
  }
  if (is_question) return std::make_unique<PlainRows>(std::vector<std::string>{"question", "context"});
  if (!input.pair.empty()) return std::make_unique<PlainRows>(std::vector<std::string>{"text", "text_pair"});
  return std::make_unique<PlainRows>(std::vector<std::string>{"text"});
}

std::string CsvField(const std::string& text, char delimiter) {
  const bool quoted =
      text.find_first_of(std::string("\"\r\n") + delimiter) != std::string::npos || text.starts_with(' ') || text.ends_with(' ');
  if (!quoted) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + '"';
}

std::string CsvLine(const std::vector<std::string>& fields, char delimiter) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) line += (i > 0 ? std::string(1, delimiter) : "") + CsvField(fields[i], delimiter);
  return line + '\n';
}

// A cell: texts as they are, numbers as JSON has them, several joined by commas.
std::string CellOf(const ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "";
  if (!value.is_array()) return DumpJson(value);
  std::string cell;
  for (const ordered_json& item : value) {
    const std::string text = CellOf(item);
    if (item.is_string() && text.find(',') != std::string::npos)
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("the label {} holds a comma, which stands between the labels of a cell", Quoted(text)),
                  "--out FILE.jsonl has lists");
    cell += (cell.empty() ? "" : ",") + text;
  }
  return cell;
}

// [label, score], each a list where a text may have several labels.
std::vector<ordered_json> LabelAndScore(const ordered_json& answer) {
  if (!answer.is_array()) return {answer.at("label"), answer.at("score")};
  std::vector<ordered_json> columns = {ordered_json::array(), ordered_json::array()};
  for (const ordered_json& one : answer) {
    columns[0].push_back(one.at("label"));
    columns[1].push_back(one.at("score"));
  }
  return columns;
}

}  // namespace

bool AnswersEachText(const TaskInfo& info) { return info.name != "sentence-similarity" && info.name != "text-ranking"; }

JoinedAnswers::Format JoinedAnswers::FormatOf(const std::string& path, const TaskInfo& info) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".jsonl" || ending == ".ndjson") return Format::kJsonLines;
  const bool is_table = ending == ".csv" || ending == ".tsv";
  if (is_table && info.name == "text-classification") return ending == ".csv" ? Format::kCsv : Format::kTsv;
  throw UsageError(fmt::format("--out is '{}'; expected a file named {}", Printable(path, 80),
                               info.name == "text-classification" ? ".csv, .tsv or .jsonl" : ".jsonl"),
                   is_table ? fmt::format("an answer of {} is no single cell", info.name) : "");
}

void JoinedAnswers::NameAnswerColumns(const std::vector<std::string>& taken) {
  const std::vector<std::string> plain = labels_ ? std::vector<std::string>{"label", "score"} : std::vector<std::string>{"answer"};
  for (const char* prefix : {"", "predicted_"}) {
    answer_columns_.clear();
    for (const std::string& name : plain) answer_columns_.push_back(prefix + name);
    if (std::none_of(taken.begin(), taken.end(), [&](const std::string& name) {
          return std::find(answer_columns_.begin(), answer_columns_.end(), name) != answer_columns_.end();
        }))
      return;
  }
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: has columns {} already", name_, fmt::join(answer_columns_, " or ")),
              "rename them, or leave them out");
}

JoinedAnswers::JoinedAnswers(const std::string& path, const TaskInfo& info, const TextInputOptions& input)
    : format_(FormatOf(path, info)),
      labels_(info.name == "text-classification"),
      pairs_are_questions_(info.input == TaskInput::kQuestionsWithContexts),
      name_(input.file.empty() ? "the input" : std::filesystem::path(input.file).filename().string()),
      file_(path) {
  std::error_code ignored;
  if (!input.file.empty() && std::filesystem::equivalent(path, input.file, ignored))
    throw UsageError("--out is the file that --file reads", "choose another name");
  if (format_ != Format::kJsonLines && !input.file.empty() && TableFormatOf(input.file) == TableFormat::kJsonLines)
    throw UsageError("--out: rows of JSON Lines may have different keys, and columns hold no lists", "--out FILE.jsonl");
  rows_ = OpenRows(input, pairs_are_questions_);
  NameAnswerColumns(rows_->columns());
  if (format_ == Format::kJsonLines) return;
  std::vector<std::string> header = rows_->columns();
  header.insert(header.end(), answer_columns_.begin(), answer_columns_.end());
  file_.Write(CsvLine(header, format_ == Format::kCsv ? ',' : '\t'));
}

JoinedAnswers::~JoinedAnswers() = default;

bool JoinedAnswers::IsWithoutText(const TextInput& input) const {
  const bool blank_text = IsBlank(input.text), blank_pair = input.pair && IsBlank(*input.pair);
  return pairs_are_questions_ ? blank_text || blank_pair : blank_text && (!input.pair || blank_pair);
}

void JoinedAnswers::Add(const std::vector<TextInput>& rows, const std::vector<size_t>& lines, const std::string& answers) {
  const size_t begin = answers.starts_with(", ") ? 2 : 0;
  const ordered_json parsed = ParseOrderedJson("[" + answers.substr(begin) + "]", "answers");
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    ordered_json row = rows_->Read(lines[i], rows[i]);
    std::vector<ordered_json> values(answer_columns_.size());  // null
    if (IsWithoutText(rows[i])) {
      if (num_blank_++ < 3) blank_lines_.push_back(lines[i]);
    } else {
      values = labels_ ? LabelAndScore(parsed.at(next)) : std::vector<ordered_json>{parsed.at(next)};
      ++next;
    }
    if (format_ == Format::kJsonLines) {
      for (size_t v = 0; v < values.size(); ++v) {
        if (row.contains(answer_columns_[v]))
          throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: has a key '{}' already", name_, lines[i], answer_columns_[v]),
                      "the first row has none: leave it out, or give it another name");
        row[answer_columns_[v]] = std::move(values[v]);
      }
      out += DumpJson(row) + '\n';
      continue;
    }
    std::vector<std::string> fields;
    for (const std::string& name : rows_->columns()) fields.push_back(row.at(name).get<std::string>());
    for (const ordered_json& value : values) fields.push_back(CellOf(value));
    out += CsvLine(fields, format_ == Format::kCsv ? ',' : '\t');
  }
  num_rows_ += rows.size();
  file_.Write(out);
}

void JoinedAnswers::Commit() { file_.Commit(); }

std::string JoinedAnswers::RemarkOnBlankRows() const {
  if (num_blank_ == 0) return "";
  std::string places;
  for (const size_t line : blank_lines_) places += fmt::format("{}line {}", places.empty() ? "" : ", ", line);
  return fmt::format("{}: {} of {} rows {} no text and got no answer ({}{})", name_, num_blank_, num_rows_,
                     num_blank_ == 1 ? "has" : "have", places, num_blank_ > blank_lines_.size() ? ", ..." : "");
}

}  // namespace mlac
