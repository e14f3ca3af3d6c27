#pragma once
// `mlac run TASK --file IN --out FILE`: each row of the input as it stands, with its answer beside it.
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/text_input.h"
#include "pipelines/task.h"

namespace mlac {

// Whether the task has one answer for each text, so that there is something to join.
bool AnswersEachText(const TaskInfo& info);

// The rows of the input. Defined in the .cc.
class InputRows;

// Columns: those of the input, and of text-classification "label" and "score", else "answer", the JSON of the task; "predicted_label" and
// so on where the input has a column of one of those names. The end of the name decides: .csv and .tsv, of text-classification alone, where
// several labels are joined by commas; .jsonl, where they are lists. The file appears whole at the end, or not at all.
class JoinedAnswers {
 public:
  // Throws UsageError for a name with another end, for rows that the format does not hold, and for a file that is read itself; what opening
  // the input throws.
  JoinedAnswers(const std::string& path, const TaskInfo& info, const TextInputOptions& input);
  JoinedAnswers(const JoinedAnswers&) = delete;
  JoinedAnswers& operator=(const JoinedAnswers&) = delete;
  ~JoinedAnswers();

  // A row that the model is not asked about, since it holds no text. line: TextSource::line().
  bool IsWithoutText(const TextInput& input) const;

  // The next rows, in order, and the lines where they stand. answers: what the task wrote of those of them that have a text, in JSON; ", "
  // may stand in front.
  void Add(const std::vector<TextInput>& rows, const std::vector<size_t>& lines, const std::string& answers);
  void Commit();

  size_t num_rows() const { return num_rows_; }
  // "in.csv: 2 of 60 rows have no text and got no answer (line 5, line 9)", or "".
  std::string RemarkOnBlankRows() const;

 private:
  enum class Format { kCsv, kTsv, kJsonLines };
  static Format FormatOf(const std::string& path, const TaskInfo& info);
  void NameAnswerColumns(const std::vector<std::string>& taken);

  Format format_;
  bool labels_, pairs_are_questions_;
  std::string name_;  // of what is read
  std::unique_ptr<InputRows> rows_;
  std::vector<std::string> answer_columns_;
  AtomicFile file_;
  size_t num_rows_ = 0, num_blank_ = 0;
  std::vector<size_t> blank_lines_;  // the first few
};

}  // namespace mlac
