#pragma once
// `mlac train TASK`: from a model folder and a file of examples to a folder that can be served. What is the same for all tasks; one file a task beside
// this one, made by MakeFineTuneTask.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/free_space.h"
#include "data/check.h"
#include "models/adapter.h"
#include "train/embedding_objective.h"
#include "train/figures.h"
#include "train/masking.h"
#include "train/metrics.h"
#include "train/sequence_objective.h"
#include "train/tagged_texts.h"
#include "train/trainer.h"

namespace mlac {

// A learning rate that suits the few new weights of an adapter: full training's is too slow for them.
inline constexpr double kLoraLearningRate = 5e-4;

struct FineTuneOptions {
  std::string model;                // the folder to start from
  std::string data;                 // CSV, TSV, JSONL, a folder of texts a class; of token-classification JSONL or CoNLL; of questions SQuAD's JSON or JSONL
  std::string validation, test;     // files likewise, or ""
  double validation_split = 0.1;    // of data, where there is no validation; 0: none, then the last epoch is kept
  std::string text_column = "text", target_column = "label";
  std::string text_pair_column = {};  // text-classification: the column of second texts, or ""
  bool skip_unlabelled = false;       // likewise: rows without a label, or a number, are left out; not where a text may have several labels
  TagColumns tag_columns = {};        // token-classification, in place of text_column and target_column
  SequenceObjectiveOptions sequence = {};  // text-classification
  std::string label_separator = ",";       // of several labels in one cell of CSV or TSV; JSONL has lists
  std::optional<size_t> doc_stride = {};   // question-answering: tokens that windows share; else 128, or half a window
  size_t max_answer_length = 30;           // likewise: tokens of an answer that is predicted
  MaskingOptions masking = {};             // fill-mask
  TupleColumns tuple_columns = {};           // sentence-similarity, text-ranking
  EmbeddingObjectiveOptions embedding = EmbeddingObjectiveOptions();  // sentence-similarity; its loss is `loss`, its batch_size that of training
  std::string loss = {};                     // sentence-similarity: a name of EmbeddingLossNamed, or "" for the usual one of the data
  std::optional<size_t> max_length = {};   // tokens; longer texts are cut, or of question-answering and fill-mask read in parts
  std::string out;                   // the folder that is written
  bool overwrite = false;            // replaces out with all that is in it, once training is done
  bool resume = false;               // goes on from the checkpoint in out; from the beginning, if the run was killed before its first one
  std::string command;               // for the card: how this was run, without paths
  std::string resume_command;        // what a user types to go on, for the message of an interrupted run
  TrainingOptions training;
  LoraOptions lora = {};  // rank 0: all weights learn
  bool of_project = false;  // hints and advice name keys of mlac.yaml, not options of the command line
  // The room that there is where a path lies, or nothing where that is not known.
  std::function<std::optional<uint64_t>(const std::string& path)> free_bytes = FreeBytes;
};

class FineTuneObserver : public TrainingObserver {
 public:
  virtual void OnNote(const std::string& note) = 0;  // what was recognised, how the data was split
  virtual void OnFinding(const Finding& finding) = 0;
  // num_labels: 0 for a task without labels.
  virtual void OnStart(size_t num_train, size_t num_validation, size_t num_test, size_t num_labels) = 0;
};

struct FineTuneResult {
  Figures figures;
  ClassificationMetrics metrics;  // of text-classification with one label a text; else empty
  std::string metrics_json;       // metrics.json
  std::string evaluated_on;       // "test", "validation" or "train"
  std::vector<std::string> notes = {};  // of what was not learnt, a line each; they stand in the card, too (training_notes.h)
  std::string usage;                    // what follows `mlac run TASK -m MODEL`
  TrainingResult training;        // empty if out was finished already
};

// Writes options.out whole or not at all: weights (with options.lora an adapter in their place), config.json, tokenizer files, README.md,
// metrics.json, training.json and SVGs. What it holds is a function of model, data, parameters, seed and mlac's version alone. Checkpoints
// stand in out/checkpoint until then. Once `stop` is true it throws kCancelled, behind a checkpoint once there is a step; also while the
// result is measured. Writing it is short and goes on. task: a name of FineTuneTaskNames(). Throws kAlreadyExists if out exists and neither
// overwrite nor resume is set, kNotFound if out is there to resume and holds neither a checkpoint nor the result of this very run (which is
// then only measured again), kInvalidArgument if the model or data lies inside what would be replaced or for another task, and what
// reading, checking and training throw, and kResourceExhausted with both numbers where the weights and checkpoints have no room on the
// disk: all that can be known before training, before it; what is wrong with the options alone (training.freeze of a task that has no use
// for it, kUnsupported; lora.targets that no layer is called, kInvalidArgument) before the data are read.
FineTuneResult FineTune(const std::string& task, const FineTuneOptions& options, FineTuneObserver& observer, const std::atomic<bool>& stop);

// What FineTune would find wrong with the data before it looks at a model: texts that are too long are not known. Throws what reading the data throws.
std::vector<Finding> CheckFineTuneData(const std::string& task, const FineTuneOptions& options, FineTuneObserver& observer);

// "text-classification" and so on.
std::vector<std::string> FineTuneTaskNames();

// `mlac eval`: the metrics of a trained folder on examples. The task is that of the model's head: without one sentence-similarity, of a classifier with one
// label text-ranking, unless config.json's problem_type says otherwise. Throws kInvalidInput for an example whose logits or vectors are not finite, naming
// it.
struct EvaluationOptions {
  std::string model, adapter = {};  // adapter: a folder of one over the model, or ""
  std::string data, text_column = "text", target_column = "label", text_pair_column = {}, label_separator = ",";
  std::optional<size_t> max_length = {};
  std::optional<size_t> doc_stride = {};  // as in FineTuneOptions; likewise the next two
  size_t max_answer_length = 30;
  bool line_by_line = false;
  TupleColumns tuple_columns = {};  // sentence-similarity, text-ranking
  size_t num_threads = 1;
  DType dtype = DType::kF32;  // as in TextModelOptions
  // Called again and again, from several threads at once too: what it throws ends the evaluation. nullptr: nothing is called.
  std::function<void()> check_stop = nullptr;
  TagColumns tag_columns = {};  // token-classification
  bool skip_unlabelled = false;  // as in FineTuneOptions
  // Called with the task when it is known, before data is read; may throw.
  std::function<void(std::string_view task)> on_task = nullptr;
};
struct EvaluationResult {
  ClassificationMetrics metrics;  // of text-classification with one label a text; else empty
  size_t num_truncated = 0, max_length = 0;
  std::vector<std::string> notes;
  std::vector<int32_t> truth, predicted;  // likewise: labels by number, one a text
  Figures figures;
  std::string metrics_json;
};
// What reads `data` as the training did that made the model, or the adapter, which is not "": by its training.json; defaults where there is
// none. Columns of pairs, triples and tags only where data has them all. Throws kUnsupported and kInvalidInput for a training.json of
// another form.
EvaluationOptions EvaluationAsTrained(const std::string& model, const std::string& adapter, const std::string& data);
// Throws kUnsupported for a model without a head that can be measured, saying what it can do.
EvaluationResult Evaluate(const EvaluationOptions& options);
// The same of a model that gives each text one label, and kUnsupported for another.
EvaluationResult EvaluateClassifier(const EvaluationOptions& options);

}  // namespace mlac
