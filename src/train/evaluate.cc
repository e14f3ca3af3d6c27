// `mlac eval`.
#include <fmt/format.h>

#include <functional>
#include <optional>

#include "base/error.h"
#include "data/texts.h"
#include "models/model_folder.h"
#include "pipelines/text_model.h"
#include "train/answer_objective.h"
#include "train/fine_tune.h"
#include "train/fine_tune_task.h"
#include "train/mask_objective.h"
#include "train/questions.h"
#include "train/ranked_pairs.h"
#include "train/tagged_texts.h"
#include "train/text_targets.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

// Rows of numbers that the model gave. Figures of what is not finite would mean nothing, and could not be sorted. place: of a row.
std::vector<float> Finite(std::vector<float> values, size_t row_size, const char* what, const std::function<std::string(size_t row)>& place) {
  if (const std::optional<size_t> bad = FindRowNotFinite(values, row_size))
    throw Error(ErrorCode::kInvalidInput, fmt::format("the {} of {} are not finite", what, place(*bad)),
                "the model's weights are broken, or overflow on this text");
  return values;
}

EvaluationResult EvaluateTexts(TextModel& model, const EvaluationOptions& options) {
  const bool single_label = model.problem_type() == ProblemType::kSingleLabel;
  const LabelledTexts texts =
      ReadLabelledTexts(options.data, {.text_column = options.text_column,
                                       .label_column = options.target_column,
                                       .pair_column = options.text_pair_column,
                                       .targets = !single_label,
                                       .label_names = single_label ? model.label_names() : std::vector<std::string>()});
  LabelledTokens tokens;
  tokens.labels = texts.labels;
  tokens.source = texts.source;
  tokens.lines = texts.lines;
  tokens.files = texts.files;
  tokens.targets = ReadTargets(texts, model.problem_type(), model.label_names(), options.label_separator);
  EvaluationResult result;
  result.notes = texts.notes;
  result.num_truncated = TokenizeTexts(model.tokenizer(), model.max_length(), texts, tokens.tokens);
  const std::vector<float> logits = Finite(model.Logits(tokens.tokens), model.model().num_labels(), "logits",
                                           [&](size_t row) { return texts.Place(row); });
  MeasureSequences(logits, tokens, model.label_names(), model.problem_type(), result.metrics, result.figures, result.metrics_json);
  if (single_label) {
    result.truth = tokens.labels;
    result.predicted = Argmax(logits, model.label_names().size());
  }
  return result;
}

EvaluationResult EvaluateTokens(TextModel& model, const EvaluationOptions& options) {
  const TaggedTexts texts = ReadTaggedTexts(options.data);
  const TaggedTokens tokens = AlignTags(model.tokenizer(), model.max_length(), texts, model.label_names());
  EvaluationResult result;
  result.num_truncated = tokens.num_cut;
  const std::vector<float> logits = Finite(model.TokenLogits(tokens.tokens), model.model().num_labels(), "logits",
                                           [&](size_t token) { return texts.texts.Place(TextOf(tokens.tokens.offsets, token)); });
  result.figures = MeasureTokens(logits, tokens, model.label_names());
  return result;
}

EvaluationResult EvaluateAnswers(TextModel& model, const EvaluationOptions& options) {
  const Questions questions = ReadQuestions(options.data);
  const AnswerWindowOptions windows =
      AnswerWindowsFor(model.max_length(), options.max_length.has_value(), options.doc_stride, options.max_answer_length);
  EvaluationResult result;
  for (const Finding& finding : CheckAnswers(questions, questions.texts.source, /*trained=*/false)) result.notes.push_back(FindingLine(finding));
  const AnswerLogits predict = [&](const TokenBatch& batch) { return model.TokenLogits(batch); };
  result.figures = MeasureAnswers(predict, model.tokenizer(), questions, windows);
  return result;
}

EvaluationResult EvaluateEmbeddings(TextModel& model, const EvaluationOptions& options) {
  const TextTuples tuples = ReadTextTuples(options.data, options.tuple_columns);
  const std::string& prompt = model.prompts().Default();  // as who uses the model has it
  const TupleTokens tokens = TokenizeTuples(model.tokenizer(), model.max_length(), tuples, prompt);
  EvaluationResult result;
  result.notes = tuples.texts.notes;
  result.notes.push_back(Describe(tuples));
  result.num_truncated = tokens.num_cut;
  ThreadTeam team(options.num_threads);
  Run run({.team = &team, .tape = nullptr});
  const std::vector<float> vectors =
      Finite(model.Embed(tokens.tokens, /*normalize=*/true, model.PooledFrom(tokens.tokens.offsets, prompt)),
             tokens.columns * model.embedding_size(), "embeddings", [&](size_t row) { return tuples.texts.Place(row); });
  result.figures = MeasureEmbeddings(vectors, model.embedding_size(), tokens, run);
  return result;
}

EvaluationResult EvaluateMasks(TextModel& model, const EvaluationOptions& options) {
  const LabelledTexts texts = ReadTextsToMask(options.data, options.text_column);
  const TextsToMask to_mask = JoinTextsToMask(model.tokenizer(), texts, model.max_length(), options.line_by_line);
  EvaluationResult result;
  result.notes = texts.notes;
  const MaskedLogits predict = [&](const TokenBatch& batch, std::span<const size_t> tokens) { return model.MaskedLogits(batch, tokens); };
  result.figures = MeasureMasks(predict, MeasuringMasker(model.tokenizer()), to_mask, model.model().vocab_size());
  return result;
}

EvaluationResult EvaluateRanking(TextModel& model, const EvaluationOptions& options) {
  const RankedPairs pairs = ReadRankedPairs(options.data, options.tuple_columns);
  const RankedTokens tokens = TokenizeRankedPairs(model.tokenizer(), model.max_length(), pairs);
  EvaluationResult result;
  result.notes = pairs.texts.notes;
  result.num_truncated = tokens.num_cut;
  const std::vector<float> logits = Finite(model.Logits(tokens.tokens.tokens), 1, "logits",
                                           [&](size_t row) { return pairs.texts.Place(row); });
  result.figures = MeasureRankedPairs(logits, tokens);
  return result;
}

// A classifier with one label that says how well a document answers, and not whether a text has the label.
bool IsCrossEncoder(const TextModel& model) { return model.label_names().size() == 1 && ProblemTypeNameOf(model.folder(), model.adapter()).empty(); }

TextModel Open(const EvaluationOptions& options) {
  return TextModel(options.model, {.num_threads = options.num_threads,
                                   .max_length = options.max_length,
                                   .truncate = true,
                                   .dtype = options.dtype,
                                   .adapter = options.adapter});
}

EvaluationResult EvaluateByHead(TextModel& model, const EvaluationOptions& options) {
  switch (model.model().head()) {
    case Head::kSequenceClassification:
      return IsCrossEncoder(model) ? EvaluateRanking(model, options) : EvaluateTexts(model, options);
    case Head::kTokenClassification:
      return EvaluateTokens(model, options);
    case Head::kQuestionAnswering:
      return EvaluateAnswers(model, options);
    case Head::kMaskedLanguageModel:
      return EvaluateMasks(model, options);
    case Head::kNone:
      return EvaluateEmbeddings(model, options);
  }
  throw Error(ErrorCode::kInternal, "a head that nothing measures");
}

}  // namespace

EvaluationResult Evaluate(const EvaluationOptions& options) {
  TextModel model = Open(options);
  EvaluationResult result = EvaluateByHead(model, options);
  result.max_length = model.max_length();
  if (result.metrics_json.empty()) result.metrics_json = FiguresJson(result.figures);
  return result;
}

EvaluationResult EvaluateClassifier(const EvaluationOptions& options) {
  TextModel model = Open(options);
  model.Require("text-classification");
  if (model.problem_type() != ProblemType::kSingleLabel)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: the model gives no text one label", options.model));
  EvaluationResult result = EvaluateTexts(model, options);
  result.max_length = model.max_length();
  return result;
}

}  // namespace mlac
