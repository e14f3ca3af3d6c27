#include "cli/text_input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cli/command.h"
#include "data/texts.h"

namespace mlac {
namespace {

void CheckSource(const TextInputOptions& options) {
  if (!options.texts.empty() && !options.file.empty()) throw UsageError("texts and --file were given", "one of the two");
  if (options.texts.empty() && options.file.empty() && isatty(STDIN_FILENO))
    throw UsageError("which text?", "give it as an argument, by --file or on standard input");
}

}  // namespace

void AddTextInput(Command command, TextInputOptions& options) {
  command.AddOption("--file", options.file, "Texts from a file: .txt (one a line), .csv, .tsv or .jsonl").Type("FILE");
  command.AddOption("--text-column", options.text_column, "The column of texts in --file").Type("NAME").ShowDefault();
  command.AddTexts(options.texts, "The texts; without them and --file: standard input, one a line");
}

void CheckColumnsHaveFile(Command command, const TextInputOptions& options) {
  if (!options.file.empty()) return;
  for (const Option option : command.options())
    if (option.given() && option.name().ends_with("-column"))
      throw UsageError(fmt::format("--{} names a column of --file, which was not given", option.name()));
}

std::vector<std::string> ReadTextInput(const TextInputOptions& options) {
  CheckSource(options);
  if (!options.texts.empty()) return options.texts;
  return ReadTexts(options.file.empty() ? "-" : options.file, options.text_column).texts;
}

TextSource::TextSource(const TextInputOptions& options) : options_(options) {
  CheckSource(options);
  if (!options.texts.empty()) return;
  TableOptions table = {.columns = {options.text_column}, .column_hint = options.column_hint};
  if (!options.pair_column.empty()) table.columns.push_back(options.pair_column);
  if (options.file.empty()) {
    name_ = "standard input";
    table_ = OpenTable(ByteStream(FileDescriptor(dup(STDIN_FILENO)), name_), TableFormat::kTextLines, std::move(table));
    return;
  }
  name_ = std::filesystem::path(options.file).filename().string();
  table_ = OpenTable(options.file, std::move(table));
  std::error_code ignored;
  if (std::filesystem::is_regular_file(options.file, ignored)) num_bytes_ = std::filesystem::file_size(options.file, ignored);
}

bool TextSource::Next(TextInput& input) {
  if (table_ == nullptr) {
    if (num_read_ == options_.texts.size()) return false;
    input = {options_.texts[num_read_], std::nullopt, options_.texts.size() == 1 ? std::string() : fmt::format("text {}", num_read_ + 1)};
    if (!options_.pair.empty()) input.pair = options_.pair;
  } else {
    if (!table_->Next(cells_)) return false;
    input = {cells_[0], std::nullopt, fmt::format("{} line {}", name_, table_->line())};
    if (cells_.size() > 1) input.pair = cells_[1];
  }
  ++num_read_;
  return true;
}

std::optional<double> TextSource::share_read() const {
  if (table_ == nullptr || num_bytes_ == 0) return std::nullopt;
  return std::min(1.0, static_cast<double>(table_->num_bytes_read()) / static_cast<double>(num_bytes_));
}

}  // namespace mlac
