#pragma once
// Where a command takes its texts from: arguments, a file, or standard input; all at once or, however long the file, one after another.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/table.h"
#include "pipelines/text_model.h"

namespace mlac {

class Command;

struct TextInputOptions {
  std::vector<std::string> texts;
  std::string file, text_column = "text";
  // Of a command that reads pairs: the second text of each argument, and the column of second texts in --file; "" for none.
  std::string pair, pair_column;
  std::string column_hint = "--text-column names the column";  // of the error for a column that is not there
};

// Declares the texts themselves, --file and --text-column.
void AddTextInput(Command command, TextInputOptions& options);

// Throws UsageError for an option that names a column where no file has columns.
void CheckColumnsHaveFile(Command command, const TextInputOptions& options);

// The texts that were given. Throws UsageError for both texts and --file, and for neither at a terminal; else as ReadTexts of data/.
std::vector<std::string> ReadTextInput(const TextInputOptions& options);

// The same one after another, pairs too, in bounded memory.
class TextSource {
 public:
  // Throws as ReadTextInput, and kNotFound or kInvalidInput as OpenTable.
  explicit TextSource(const TextInputOptions& options);

  // False at the end.
  bool Next(TextInput& input);
  size_t num_read() const { return num_read_; }
  // Where in the file the last one stands, from 1; of arguments its number.
  size_t line() const { return table_ == nullptr ? num_read_ : table_->line(); }
  // The share of the file that is read, from 0 to 1; nothing where its size is not known.
  std::optional<double> share_read() const;

 private:
  TextInputOptions options_;
  std::unique_ptr<TableReader> table_;  // of a file or standard input
  std::vector<std::string> cells_;
  std::string name_;  // the file's, for messages
  uint64_t num_bytes_ = 0;
  size_t num_read_ = 0;
};

}  // namespace mlac
