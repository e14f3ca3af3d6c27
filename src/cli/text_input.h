#pragma once
// Where a command takes its texts from: arguments, a file, or standard input.
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace mlac {

struct TextInputOptions {
  std::vector<std::string> texts;
  std::string file, text_column = "text";
};

// Declares the texts themselves, --file and --text-column.
void AddTextInput(CLI::App& command, TextInputOptions& options);

// The texts that were given. Throws UsageError for both texts and --file, and for neither at a terminal; else as ReadTexts of data/.
std::vector<std::string> ReadTextInput(const TextInputOptions& options);

}  // namespace mlac
