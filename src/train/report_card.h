#pragma once
// The model card that a trained folder carries: README.md as the Hub reads it (https://huggingface.co/docs/hub/model-cards).
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "data/check.h"
#include "train/figures.h"
#include "train/metrics.h"

namespace mlac {

struct CardPart {
  std::string name;    // "train", "validation", "test"
  std::string source;  // the file's own name, without its path
  size_t num_rows = 0;
};

struct ModelCard {
  std::string task = "text-classification";
  // Of another task than text-classification with one label a text, where metrics is null: what the model is and does, its figures, and what follows
  // `mlac run TASK -m . "your text here"`.
  std::string title = {}, introduction = {}, usage_options = {};
  std::string arguments = "\"your text here\"", python_arguments = "\"your text here\"";  // what such a task is given instead
  bool reads_whole_texts = false;  // also what is longer than max_length
  std::string usage_python = {};   // a program with python_library; "": with transformers' pipeline
  std::string python_library = "transformers";
  const Figures* figures = nullptr;
  std::string base_model;                 // name or id of what was fine-tuned; "" leaves it out
  bool is_adapter = false;                // it stands over base_model
  std::string license;                    // the Hub's id of a licence; "" if it is not known
  std::string text_column, label_column;  // "" where the data has no columns
  std::string pair_column = {};           // of second texts, or ""; SetPairColumn sets it, and what follows from it
  bool gives_numbers = false;             // those of label_column, of regression
  bool reads_pairs = false;               // a text is read together with a second one
  std::string columns = {};               // a sentence on the columns, instead of those two
  size_t max_length = 0;                  // tokens of a text that are read
  std::vector<CardPart> parts;
  std::vector<Finding> findings;
  std::vector<std::string> notes = {};             // of a training that has not learnt what it could (training_notes.h)
  const ClassificationMetrics* metrics = nullptr;  // null if nothing was set aside to measure on
  std::string measured_on;                         // the part of it: "test"
  std::vector<std::string> label_names;
  std::vector<std::pair<std::string, std::string>> parameters;  // name and value, in order
  std::string command;                                          // with file names only
  std::string mlac_version;
};

// Makes it the card of a classifier that reads texts in pairs, whose second ones stand in that column: its words and its usage say so.
void SetPairColumn(ModelCard& card, const std::string& pair_column);

// No date, path, host, duration or thread count: a function of the card alone. It names learning-curves.svg and, with metrics,
// confusion-matrix.svg and metrics.json, which stand beside it.
std::string ModelCardMarkdown(const ModelCard& card);

inline constexpr char kLearningCurvesFile[] = "learning-curves.svg";
inline constexpr char kConfusionMatrixFile[] = "confusion-matrix.svg";
inline constexpr char kMetricsFile[] = "metrics.json";
inline constexpr char kTrainingFile[] = "training.json";
inline constexpr int kTrainingFormat = 1;  // its format_version
inline constexpr char kModelCardFile[] = "README.md";

}  // namespace mlac
