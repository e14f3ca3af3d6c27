// `mlac eval`.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "data/texts.h"
#include "pipelines/text_model.h"
#include "train/fine_tune.h"
#include "train/fine_tune_task.h"
#include "train/tagged_texts.h"
#include "train/text_targets.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

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
  result.max_length = model.max_length();
  result.notes = texts.notes;
  result.num_truncated = TokenizeTexts(model.tokenizer(), model.max_length(), texts, tokens.tokens);
  const std::vector<float> logits = model.Logits(tokens.tokens);
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
  result.max_length = model.max_length();
  result.figures = MeasureTokens(model.TokenLogits(tokens.tokens), tokens, model.label_names());
  result.metrics_json = FiguresJson(result.figures);
  return result;
}

}  // namespace

EvaluationResult Evaluate(const EvaluationOptions& options) {
  TextModel model(options.model,
                  {.num_threads = options.num_threads, .max_length = options.max_length, .truncate = true, .dtype = options.dtype, .adapter = options.adapter});
  switch (model.model().head()) {
    case Head::kSequenceClassification:
      return EvaluateTexts(model, options);
    case Head::kTokenClassification:
      return EvaluateTokens(model, options);
    default:
      break;
  }
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: the model has no head that can be measured; it can do {}", options.model, fmt::join(model.Tasks(), ", ")),
              "`mlac train` makes one");
}

EvaluationResult EvaluateClassifier(const EvaluationOptions& options) {
  TextModel model(options.model,
                  {.num_threads = options.num_threads, .max_length = options.max_length, .truncate = true, .dtype = options.dtype, .adapter = options.adapter});
  model.Require("text-classification");
  if (model.problem_type() != ProblemType::kSingleLabel)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: the model gives no text one label", options.model));
  return EvaluateTexts(model, options);
}

}  // namespace mlac
