#include "train/answer_objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "kernels/cross_entropy.h"
#include "models/inference.h"
#include "pipelines/answers.h"
#include "pipelines/text_model.h"
#include "text/windows.h"
#include "train/answer_metrics.h"

namespace mlac {
namespace {

std::vector<Encoding> WindowsOf(const Tokenizer& tokenizer, const Questions& questions, size_t row, const AnswerWindowOptions& options) {
  const LabelledTexts& texts = questions.texts;
  try {
    return CutIntoWindows(tokenizer.EncodePair(texts.texts[row], texts.pairs[row], {.with_offsets = true}), options.window,
                          options.doc_stride);
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", texts.Place(row), error.message()),
                "a longer --max-length or a shorter --doc-stride leaves more");
  }
}

// The tokens of a window that the answer starts and ends with; {0, 0} where it is not all there.
struct TokenSpan {
  int32_t start = 0, end = 0;
};
TokenSpan FindInWindow(const Encoding& window, const GoldAnswer* answer) {
  if (answer == nullptr) return {};
  const auto first = std::find(window.sequence_ids.begin(), window.sequence_ids.end(), 1);
  const auto begin = static_cast<size_t>(first - window.sequence_ids.begin());
  const auto end = begin + static_cast<size_t>(std::count(first, window.sequence_ids.end(), 1));
  if (begin == end || window.offsets[begin].begin > answer->begin || window.offsets[end - 1].end < answer->end) return {};
  size_t start = begin, last = end - 1;
  while (start + 1 < end && window.offsets[start + 1].begin <= answer->begin) ++start;
  while (last > start && window.offsets[last - 1].end >= answer->end) --last;
  return {static_cast<int32_t>(start), static_cast<int32_t>(last)};
}

bool CanBeLearnt(const Questions& questions, size_t row) { return questions.answers[row].empty() || questions.AnswerOf(row) != nullptr; }

// Cross-entropy of one column of a sequence's logits, halved; adds its gradient to that column.
double ColumnLoss(const float* logits, size_t count, size_t column, int32_t label, float scale, float* gradient) {
  std::vector<float> values(count), of_values(gradient == nullptr ? 0 : count);
  for (size_t t = 0; t < count; ++t) values[t] = logits[2 * t + column];
  double loss = 0;
  const float half = 0.5f * scale;
  kernels::CrossEntropy(values.data(), &label, 1, count, &loss, &half, gradient == nullptr ? nullptr : of_values.data());
  for (size_t t = 0; t < of_values.size(); ++t) gradient[2 * t + column] = of_values[t];
  return 0.5 * loss;
}

class AnswerObjective : public Objective {
 public:
  AnswerObjective(Model& model, const Tokenizer& tokenizer, const AnswerWindows& train, const Questions& train_questions,
                  const Questions& validation, const AnswerWindowOptions& options)
      : model_(model),
        tokenizer_(tokenizer),
        train_(train),
        train_questions_(train_questions),
        validation_(validation),
        options_(options) {}

  size_t num_examples() const override { return train_.size(); }
  size_t num_validation_examples() const override { return validation_.size(); }

  std::string Places(std::span<const size_t> examples) const override {
    std::vector<size_t> rows;
    for (const size_t window : examples) rows.push_back(train_.questions[window]);
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    const LabelledTexts& texts = train_questions_.texts;
    return PlacesOf(texts.source, texts.lines, texts.files, rows);
  }

  TokenBatch Begin(std::span<const size_t> examples, size_t) override {
    starts_.clear();
    ends_.clear();
    for (const size_t window : examples) {
      starts_.push_back(train_.starts[window]);
      ends_.push_back(train_.ends[window]);
    }
    return GatherSequences(train_.tokens, examples);
  }

  double total_weight() const override { return static_cast<double>(starts_.size()); }

  void AddGradients(Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    const Tensor logits = model_.ClassifyTokens(run, model_.Encode(run, part));
    Tensor gradient = run.NewTensor(logits.shape());
    const size_t count = part.num_sequences();
    for (const double each : AnswerLosses(logits.floats(), part.offsets, std::span(starts_).subspan(first_sequence, count),
                                          std::span(ends_).subspan(first_sequence, count), static_cast<float>(1 / total_weight()),
                                          gradient.mutable_floats().data()))
      loss += each;
    tape.Backward(run, logits, gradient);
  }

  ValidationReport Validate(Run& run, const std::function<void()>& before_batch) override {
    const Figures figures =
        MeasureAnswers(AnswerLogitsOf(model_, run, before_batch), tokenizer_, validation_, options_, {.intervals = false});
    return ReportOf(figures, figures.figures.front().value > ShareWithoutAnswer());
  }

 private:
  // The F1 of finding no answer to any question.
  double ShareWithoutAnswer() const {
    const auto count =
        std::count_if(validation_.answers.begin(), validation_.answers.end(), [](const auto& answers) { return answers.empty(); });
    return static_cast<double>(count) / static_cast<double>(validation_.size());
  }

  Model& model_;
  const Tokenizer& tokenizer_;
  const AnswerWindows& train_;
  const Questions &train_questions_, &validation_;
  const AnswerWindowOptions options_;
  std::vector<int32_t> starts_, ends_;  // of this step's windows
};

// Answers questions batch by batch.
class AnswerMeter {
 public:
  AnswerMeter(const AnswerLogits& predict, const Tokenizer& tokenizer, const Questions& questions, const AnswerWindowOptions& options)
      : predict_(predict), tokenizer_(tokenizer), questions_(questions), options_(options) {}

  Figures Measure(const MetricsOptions& metrics) {
    for (size_t row = 0; row < questions_.size(); ++row) {
      windows_.push_back(WindowsOf(tokenizer_, questions_, row, options_));
      for (const Encoding& window : windows_.back()) Append(window, batch_);
      if (batch_.num_tokens() >= kTokensPerEvaluationBatch) AnswerBatch();
    }
    AnswerBatch();
    Figures figures = ComputeAnswerMetrics(scores_, metrics);
    if (num_losses_ > 0) figures.loss = sum_of_losses_ / static_cast<double>(num_losses_);
    return figures;
  }

 private:
  void AnswerBatch() {
    if (windows_.empty()) return;
    const std::vector<float> logits = predict_(batch_);
    const size_t first_row = scores_.size();
    CheckFinite(logits, first_row);
    const AnswerOptions options = {.max_answer_length = options_.max_answer_length,
                                   .handle_impossible_answer = questions_.HasUnanswerable()};
    size_t sequence = 0;
    for (size_t i = 0; i < windows_.size(); ++i) {
      const size_t row = first_row + i;
      AnswerFinder finder(tokenizer_, questions_.texts.pairs[row], options);
      const GoldAnswer* answer = questions_.AnswerOf(row);
      for (const Encoding& window : windows_[i]) {
        const size_t begin = batch_.offsets[sequence], end = batch_.offsets[++sequence];
        const auto of_window = std::span(logits).subspan(2 * begin, 2 * (end - begin));
        finder.Add(window, of_window);
        if (!CanBeLearnt(questions_, row)) continue;
        const TokenSpan span = FindInWindow(window, answer);
        sum_of_losses_ += AnswerLosses(of_window, {0, end - begin}, std::span(&span.start, 1), std::span(&span.end, 1), 1, nullptr).front();
        ++num_losses_;
      }
      const std::vector<Answer> answers = finder.Finish();
      std::vector<std::string> gold;
      for (const GoldAnswer& given : questions_.answers[row]) gold.push_back(given.text);
      scores_.push_back(ScoreAnswer(answers.empty() ? "" : answers.front().text, gold));
    }
    windows_.clear();
    batch_ = {};
  }

  void CheckFinite(std::span<const float> logits, size_t first_row) const {
    const std::optional<size_t> token = FindRowNotFinite(logits, 2);
    if (!token) return;
    size_t row = first_row, end = 0;
    for (const std::vector<Encoding>& windows : windows_) {
      for (const Encoding& window : windows) end += window.token_ids.size();
      if (*token < end) break;
      ++row;
    }
    RefuseOverflow(fmt::format("the logits of {} are not finite", questions_.texts.Place(row)));
  }

  const AnswerLogits& predict_;
  const Tokenizer& tokenizer_;
  const Questions& questions_;
  const AnswerWindowOptions& options_;
  TokenBatch batch_;
  std::vector<std::vector<Encoding>> windows_;  // of the batch's questions
  std::vector<AnswerScore> scores_;
  double sum_of_losses_ = 0;
  size_t num_losses_ = 0;
};

}  // namespace

AnswerWindowOptions AnswerWindowsFor(size_t max_length, bool max_length_given, std::optional<size_t> doc_stride, size_t max_answer_length) {
  const AnswerWindowOptions usual;
  AnswerWindowOptions options = {.window = max_length_given ? max_length : std::min(max_length, usual.window),
                                 .max_answer_length = max_answer_length};
  options.doc_stride = doc_stride.value_or(std::min(options.window / 2, usual.doc_stride));
  if (options.doc_stride >= options.window)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("windows of {} tokens cannot share {}", options.window, options.doc_stride),
                "choose a shorter --doc-stride");
  return options;
}

AnswerWindows CutQuestions(const Tokenizer& tokenizer, const Questions& questions, const AnswerWindowOptions& options) {
  AnswerWindows result;
  for (size_t row = 0; row < questions.size(); ++row) {
    if (!CanBeLearnt(questions, row)) continue;
    const GoldAnswer* answer = questions.AnswerOf(row);
    const std::vector<Encoding> windows = WindowsOf(tokenizer, questions, row, options);
    bool covered = answer == nullptr;
    for (const Encoding& window : windows) {
      const TokenSpan span = FindInWindow(window, answer);
      covered = covered || span.end > 0;
      result.starts.push_back(span.start);
      result.ends.push_back(span.end);
      result.questions.push_back(row);
      Append(window, result.tokens);
    }
    result.num_long += windows.size() > 1;
    result.num_uncovered += !covered;
  }
  return result;
}

std::vector<double> AnswerLosses(std::span<const float> logits, const Offsets& offsets, std::span<const int32_t> starts,
                                 std::span<const int32_t> ends, float scale, float* gradient) {
  std::vector<double> losses;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const size_t begin = offsets[s], count = offsets[s + 1] - begin;
    const float* of_sequence = logits.data() + 2 * begin;
    float* to = gradient == nullptr ? nullptr : gradient + 2 * begin;
    losses.push_back(ColumnLoss(of_sequence, count, 0, starts[s], scale, to) + ColumnLoss(of_sequence, count, 1, ends[s], scale, to));
  }
  return losses;
}

std::unique_ptr<Objective> MakeAnswerObjective(Model& model, const Tokenizer& tokenizer, const AnswerWindows& train,
                                               const Questions& train_questions, const Questions& validation,
                                               const AnswerWindowOptions& options) {
  return std::make_unique<AnswerObjective>(model, tokenizer, train, train_questions, validation, options);
}

AnswerLogits AnswerLogitsOf(const Model& model, Run& run, const std::function<void()>& before_batch) {
  return [&model, &run, before_batch](const TokenBatch& batch) {
    std::vector<float> logits;
    ForEachPart(batch.offsets, kTokensPerEvaluationBatch, [&](size_t begin, size_t end) {
      if (before_batch) before_batch();
      const Tensor part = model.ClassifyTokens(run, model.Encode(run, Slice(batch, begin, end)));
      logits.insert(logits.end(), part.floats().begin(), part.floats().end());
    });
    return logits;
  };
}

Figures MeasureAnswers(const AnswerLogits& predict, const Tokenizer& tokenizer, const Questions& questions,
                       const AnswerWindowOptions& options, const MetricsOptions& metrics) {
  return AnswerMeter(predict, tokenizer, questions, options).Measure(metrics);
}

}  // namespace mlac
