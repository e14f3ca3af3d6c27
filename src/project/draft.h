#pragma once
// The first mlac.yaml of a project, from a look at its data: every line explained.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/text_model.h"

namespace mlac {

struct ProjectConfig;

struct DraftOptions {
  std::string name = "model";         // of the model
  std::string task = {};              // "": what the data look like
  std::string train = {}, test = {};  // files as they will stand in mlac.yaml; test "": a part of train is set aside
  std::string base = "models/minilm";
  std::string text_column = {}, text_pair_column = {}, target_column = {};  // "": guessed
  std::string ci = {};  // "github" or "gitlab": the pipeline of draft_ci.h, too
};

struct Draft {
  std::string task;
  std::string text_column = {}, text_pair_column = {}, target_column = {};  // what was guessed or given
  ProblemType problem_type = ProblemType::kSingleLabel;                     // of text-classification
  std::string label_separator = ",";                                        // of several labels
  size_t num_rows = 0, num_labels = 0;       // of the rows that were looked at; of tasks without labels all rows, and no label
  double largest_share = 0;                  // of the most frequent label
  std::map<std::string, std::string> files;  // by path: content
  std::vector<std::string> ci_needs = {};    // what the pipeline needs before it can run, one a line
};

// Looks at the first rows of train. Throws what reading it throws; kInvalidInput if no column looks like labels, with the columns that
// there are; kInvalidArgument for a name that the store cannot have and for a task that there is not.
Draft DraftProject(const DraftOptions& options);

// The pipeline alone, for the models of a project that is there. ci: as in DraftOptions.
Draft DraftPipeline(const ProjectConfig& project, const std::string& ci);

// What data of that name and with those columns are usually for: "token-classification" of .conll, "question-answering" of questions and
// contexts, "text-ranking" of queries and documents, "text-classification" where nothing says otherwise. Throws as OpenTable, and
// kInvalidInput for questions with their answers in a table, which question-answering does not read.
std::string GuessTask(const std::string& path);

// The names of the columns of a table, but for empty ones; of JSON Lines those of its first object that hold texts, numbers or lists of texts.
// Throws as ColumnNames.
std::vector<std::string> ColumnsOf(const std::string& path);

}  // namespace mlac
