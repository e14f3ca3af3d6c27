// `mlac eval`.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "data/check.h"
#include "data/table.h"
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
  CheckMaySkipUnlabelled(options.skip_unlabelled, model.problem_type());
  const LabelledTexts texts =
      ReadLabelledTexts(options.data, {.text_column = options.text_column,
                                       .label_column = options.target_column,
                                       .pair_column = options.text_pair_column,
                                       .targets = !single_label,
                                       .label_names = single_label ? model.label_names() : std::vector<std::string>(),
                                       .skip_unlabelled = options.skip_unlabelled});
  LabelledTokens tokens;
  tokens.labels = texts.labels;
  tokens.source = texts.source;
  tokens.lines = texts.lines;
  tokens.files = texts.files;
  tokens.targets = ReadTargets(texts, model.problem_type(), model.label_names(), options.label_separator);
  EvaluationResult result;
  result.notes = texts.notes;
  if (options.text_pair_column.empty() && EntailmentLabel(model.label_names()))
    result.notes.emplace_back(
        "warning: the labels are those of pairs of texts, but each text is read alone: --text-pair-column names the column of second "
        "texts");
  result.num_truncated = TokenizeTexts(model.tokenizer(), model.max_length(), texts, tokens.tokens);
  const std::vector<float> logits = Finite(model.Logits(tokens.tokens), model.model().num_labels(), "logits",
                                           [&](size_t row) { return texts.Place(row); });
  MeasureSequences(logits, tokens, model.label_names(), model.problem_type(), options.check_stop, result.metrics, result.figures,
                   result.metrics_json);
  if (single_label) {
    result.truth = tokens.labels;
    result.predicted = Argmax(logits, model.label_names().size());
  }
  return result;
}

EvaluationResult EvaluateTokens(TextModel& model, const EvaluationOptions& options) {
  const TaggedTexts texts = ReadTaggedTexts(options.data, options.tag_columns);
  const TaggedTokens tokens = AlignTags(model.tokenizer(), model.max_length(), texts, model.label_names());
  EvaluationResult result;
  result.num_truncated = tokens.num_cut;
  const std::vector<float> logits = Finite(model.TokenLogits(tokens.tokens), model.model().num_labels(), "logits",
                                           [&](size_t token) { return texts.texts.Place(TextOf(tokens.tokens.offsets, token)); });
  result.figures = MeasureTokens(logits, tokens, model.label_names(), {.check_stop = options.check_stop});
  return result;
}

EvaluationResult EvaluateAnswers(TextModel& model, const EvaluationOptions& options) {
  const Questions questions = ReadQuestions(options.data);
  const AnswerWindowOptions windows =
      AnswerWindowsFor(model.max_length(), options.max_length.has_value(), options.doc_stride, options.max_answer_length);
  EvaluationResult result;
  for (const Finding& finding : CheckAnswers(questions, questions.texts.source, /*trained=*/false)) result.notes.push_back(FindingLine(finding));
  const AnswerLogits predict = [&](const TokenBatch& batch) { return model.TokenLogits(batch); };
  result.figures = MeasureAnswers(predict, model.tokenizer(), questions, windows, {.check_stop = options.check_stop});
  return result;
}

// A user who has labelled texts wants a classifier measured, which an encoder is not.
void CheckHasTwoTexts(const EvaluationOptions& options) {
  std::string found = "a folder of texts";
  if (!FolderExists(options.data)) {
    const std::vector<std::string> there = ColumnNames(options.data);
    const auto has = [&](const std::string& name) { return std::find(there.begin(), there.end(), name) != there.end(); };
    const TupleColumns& wanted = options.tuple_columns;
    if (!wanted.first.empty() || !wanted.second.empty() || !has(options.text_column) || !has(options.target_column)) return;
    try {
      FindTupleColumns(options.data, wanted);
      return;
    } catch (const Error&) {
      found = fmt::format("the columns {}", fmt::join(there, ", "));
    }
  }
  throw Error(
      ErrorCode::kUnsupported,
      fmt::format("{}: the model has no head that gives labels; as an encoder it is measured on pairs of texts, found {} in {}",
                  options.model, Printable(found, 120), options.data),
      "`mlac train text-classification` makes a classifier of it; columns such as sentence1, sentence2 and score measure its vectors");
}

EvaluationResult EvaluateEmbeddings(TextModel& model, const EvaluationOptions& options) {
  CheckHasTwoTexts(options);
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
  result.figures = MeasureEmbeddings(vectors, model.embedding_size(), tokens, run, {.check_stop = options.check_stop});
  return result;
}

EvaluationResult EvaluateMasks(TextModel& model, const EvaluationOptions& options) {
  const LabelledTexts texts = ReadTextsToMask(options.data, options.text_column);
  const TextsToMask to_mask = JoinTextsToMask(model.tokenizer(), texts, model.max_length(), options.line_by_line);
  EvaluationResult result;
  result.notes = texts.notes;
  const MaskedLogits predict = [&](const TokenBatch& batch, std::span<const size_t> tokens) { return model.MaskedLogits(batch, tokens); };
  result.figures =
      MeasureMasks(predict, MeasuringMasker(model.tokenizer()), to_mask, model.model().vocab_size(), {.check_stop = options.check_stop});
  return result;
}

EvaluationResult EvaluateRanking(TextModel& model, const EvaluationOptions& options) {
  RankedPairs pairs = ReadRankedPairs(options.data, options.tuple_columns);
  for (std::string& query : pairs.texts.texts) query.insert(0, model.ranking_prompts().Default());  // as who uses the model has it
  const RankedTokens tokens = TokenizeRankedPairs(model.tokenizer(), model.max_length(), pairs);
  EvaluationResult result;
  result.notes = pairs.texts.notes;
  result.num_truncated = tokens.num_cut;
  const std::vector<float> logits = Finite(model.Logits(tokens.tokens.tokens), 1, "logits",
                                           [&](size_t row) { return pairs.texts.Place(row); });
  result.figures = MeasureRankedPairs(logits, tokens, {.check_stop = options.check_stop});
  return result;
}

TextModel Open(const EvaluationOptions& options) {
  return TextModel(options.model, {.num_threads = options.num_threads,
                                   .max_length = options.max_length,
                                   .truncate = true,
                                   .dtype = options.dtype,
                                   .adapter = options.adapter,
                                   .check_stop = options.check_stop});
}

// A task, and what measures it.
struct Measurement {
  std::string_view task;
  EvaluationResult (*evaluate)(TextModel& model, const EvaluationOptions& options);
};

Measurement MeasurementOf(const TextModel& model) {
  switch (model.model().head()) {
    case Head::kSequenceClassification:
      return model.is_cross_encoder() ? Measurement{"text-ranking", EvaluateRanking} : Measurement{"text-classification", EvaluateTexts};
    case Head::kTokenClassification:
      return {"token-classification", EvaluateTokens};
    case Head::kQuestionAnswering:
      return {"question-answering", EvaluateAnswers};
    case Head::kMaskedLanguageModel:
      return {"fill-mask", EvaluateMasks};
    case Head::kNone:
      return {"sentence-similarity", EvaluateEmbeddings};
  }
  throw Error(ErrorCode::kInternal, "a head that nothing measures");
}

}  // namespace

EvaluationResult Evaluate(const EvaluationOptions& options) {
  TextModel model = Open(options);
  const Measurement measurement = MeasurementOf(model);
  if (options.check_stop) options.check_stop();
  if (options.on_task) options.on_task(measurement.task);
  EvaluationResult result = measurement.evaluate(model, options);
  result.max_length = model.max_length();
  const std::string source = std::filesystem::path(options.data).filename().string();
  if (const std::optional<Finding> few = FewExamples(source.empty() ? options.data : source, result.figures.num_examples))
    result.notes.push_back(FindingLine(*few));
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
