#include "cli/text_input.h"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "data/texts.h"

namespace mlac {

void AddTextInput(CLI::App& command, TextInputOptions& options) {
  command.add_option("--file", options.file, "Texts from a file: .txt (one a line), .csv, .tsv or .jsonl")->type_name("FILE");
  command.add_option("--text-column", options.text_column, "The column of texts in --file")->type_name("NAME")->capture_default_str();
  AddTexts(command, options.texts, "The texts; without them and --file: standard input, one a line");
}

std::vector<std::string> ReadTextInput(const TextInputOptions& options) {
  if (!options.texts.empty() && !options.file.empty()) throw UsageError("texts and --file were given", "one of the two");
  if (!options.texts.empty()) return options.texts;
  if (options.file.empty() && isatty(STDIN_FILENO)) throw UsageError("which text?", "give it as an argument, by --file or on standard input");
  return ReadTexts(options.file.empty() ? "-" : options.file, options.text_column).texts;
}

}  // namespace mlac
