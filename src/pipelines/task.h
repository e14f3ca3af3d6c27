#pragma once
// What a model can be asked to do with texts: one file a task beside this one, one line a task in task.cc.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/text_model.h"

namespace mlac {

enum class OutputFormat { kText, kJson };

// What a classifier's logits become: softmax over the labels, the sigmoid of each, or themselves.
enum class ScoreFunction { kSoftmax, kSigmoid, kNone };

// How the tokens of a word and of an entity are joined: transformers' aggregation_strategy.
enum class Aggregation {
  kNone,     // each token by itself
  kSimple,   // neighbours with the same tag
  kFirst,    // each word has the label of its first token; then as kSimple
  kAverage,  // ... of the mean of its tokens' probabilities
  kMax,      // ... of its token with the greatest probability
};

struct TaskOptions {
  OutputFormat format = OutputFormat::kText;
  std::optional<size_t> top_k = {};  // the best k, 0: all; without it: of labels and answers the best one, of words for a mask five, of ranked texts all
  bool tokens = false;          // feature-extraction: one vector a token
  // feature-extraction, sentence-similarity: what is put before each text, or which of the model's prompts; without both the model's
  // default
  std::optional<std::string> prompt = {}, prompt_name = {};
  std::optional<ScoreFunction> function_to_apply = {};  // text-classification; without it as config.json's problem_type says
  // text-classification: the labels that count, all with a score above this. Where a text may have several labels and there is no such
  // bound, those count that evaluation counts, whose score is above 0.5.
  std::optional<double> threshold = {};
  bool counted_labels = false;  // in JSON, too, a text that may have several labels gets those that count, as a list, and not its best one
  // token-classification
  Aggregation aggregation = Aggregation::kNone;
  std::optional<size_t> stride = {};  // read longer texts through windows that share so many tokens; not with Aggregation::kNone
  size_t max_windows = SIZE_MAX;      // of the texts that are given at a time; also of question-answering
  std::vector<std::string> ignore_labels = {"O"};
  // question-answering: a text is a question, its pair the context
  size_t max_answer_length = 15;            // in tokens
  std::optional<size_t> window = {}, doc_stride = {};  // tokens of a window, question included (384 at most without it), and of its overlap (at most 128)
  bool handle_impossible_answer = false;    // "" may be the answer
  bool takes_blank = false;                 // a question or a context may say nothing, as in data that is measured; else it is refused
  bool align_to_words = true;               // an answer begins and ends with a whole word
  std::optional<std::vector<std::string>> targets = {};  // fill-mask: the only words to choose among; each has to be one token
  // zero-shot-classification
  std::vector<std::string> candidate_labels = {};
  std::string hypothesis_template = "This example is {}.";  // {}: the label
  bool multi_label = false;
  bool label_pairs = false;  // in JSON a text has [{"label", "score"}, ...], as the Hub answers, instead of two lists
  std::string query = {};    // text-ranking; sentence-similarity: the texts are searched for what is near to it
  // text-ranking
  bool raw_scores = false;  // logits instead of their sigmoids
};

// What a task reads.
enum class TaskInput { kTexts, kTextsOrPairs, kQuestionsWithContexts };

// Texts in, lines or one JSON document out. A task is given the texts in chunks, so that a file of any length passes through.
class Task {
 public:
  virtual ~Task() = default;
  // Answers of a chunk, appended to out.
  virtual void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) = 0;
  // What stands before the first and behind the last chunk ("[" and "]\n" in JSON).
  virtual void Begin(std::string& out) = 0;
  virtual void End(std::string& out) = 0;

  size_t num_truncated() const { return num_truncated_; }

 protected:
  size_t num_truncated_ = 0;  // texts that were cut
};

struct TaskInfo {
  std::string_view name;         // as the Hub calls it: "text-classification"
  std::string_view description;  // one line
  TaskInput input;
  // Throws kInvalidArgument for options that exclude each other.
  std::unique_ptr<Task> (*make)(const TaskOptions& options);
};

// All tasks.
std::span<const TaskInfo> AllTasks();

// The prompt that the options and the model say. Throws as SentencePrompts::Find.
const std::string& PromptOf(const TextModel& model, const TaskOptions& options);
// Throws kInvalidArgument where both a prompt and the name of one are given.
void CheckPrompt(const TaskOptions& options);

// Those of the other tasks stand in sequence_task.h.
std::unique_ptr<Task> MakeFeatureExtraction(const TaskOptions& options);
std::unique_ptr<Task> MakeSentenceSimilarity(const TaskOptions& options);
std::unique_ptr<Task> MakeTextClassification(const TaskOptions& options);
std::unique_ptr<Task> MakeTextRanking(const TaskOptions& options);

}  // namespace mlac
