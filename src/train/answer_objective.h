#pragma once
// Question answering: where in a window of a context the answer starts and where it ends; BERT's way to SQuAD (Devlin et al. 2018,
// section 4.2).
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "train/figures.h"
#include "train/objective.h"
#include "train/questions.h"

namespace mlac {

struct AnswerWindowOptions {
  size_t window = 384;            // tokens, question included
  size_t doc_stride = 128;        // that a window shares with the one before
  size_t max_answer_length = 30;  // in tokens, of an answer that is predicted
};

// As `mlac run question-answering` chooses: all that a model of max_length tokens reads where that was asked for, else at most 384, of
// which at most half are shared. Throws kInvalidArgument for a stride that leaves a window nothing of its own.
AnswerWindowOptions AnswerWindowsFor(size_t max_length, bool max_length_given, std::optional<size_t> doc_stride, size_t max_answer_length);

// The windows of questions with their contexts, end to end, and the tokens of each that its answer starts and ends with: 0, the one before
// the question, where the window does not hold all of it.
struct AnswerWindows {
  TokenBatch tokens;
  std::vector<int32_t> starts, ends;
  std::vector<size_t> questions;  // of each window
  size_t num_long = 0;            // questions with more than one window
  size_t num_uncovered = 0;       // questions whose answer no window holds as a whole

  size_t size() const { return starts.size(); }
};

// Windows of the questions that can be learnt: without answer, or with one that stands in the context. Throws kInvalidInput with the place
// of a question that leaves no room for its context.
AnswerWindows CutQuestions(const Tokenizer& tokenizer, const Questions& questions, const AnswerWindowOptions& options);

// The loss of each sequence of logits [tokens, 2]: the mean of two cross-entropies over its tokens, that of its start (column 0) and that
// of its end. If gradient is not nullptr: [tokens, 2], of the sum of the losses times scale.
std::vector<double> AnswerLosses(std::span<const float> logits, const Offsets& offsets, std::span<const int32_t> starts,
                                 std::span<const int32_t> ends, float scale, float* gradient);

// All outlive the objective. Examples are windows.
std::unique_ptr<Objective> MakeAnswerObjective(Model& model, const Tokenizer& tokenizer, const AnswerWindows& train,
                                               const Questions& train_questions, const Questions& validation,
                                               const AnswerWindowOptions& options);

// [tokens, 2] of a batch.
using AnswerLogits = std::function<std::vector<float>(const TokenBatch& batch)>;
AnswerLogits AnswerLogitsOf(const Model& model, Run& run, const std::function<void()>& before_batch = nullptr);

// Answers all questions as `mlac run question-answering` does it, with the empty answer where some question has none, and scores them. The
// loss is the mean over the windows that can be learnt.
Figures MeasureAnswers(const AnswerLogits& predict, const Tokenizer& tokenizer, const Questions& questions,
                       const AnswerWindowOptions& options, const MetricsOptions& metrics = {});

}  // namespace mlac
