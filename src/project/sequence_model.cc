#include "project/sequence_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "project/fine_tuned_task.h"

namespace mlac {
namespace {

constexpr size_t kTextsAtOnce = 256;

std::string_view WhatItGives(ProblemType problem_type) {
  constexpr std::string_view kGives[] = {"one label", "several labels", "a number"};  // by ProblemType
  return kGives[static_cast<size_t>(problem_type)];
}

}  // namespace

SequenceModel::SequenceModel(const std::string& folder, const ModelData& data, size_t num_threads, ProblemType problem_type)
    : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}), reads_pairs_(!data.text_pair_column.empty()) {
  if (model_.model().head() != Head::kSequenceClassification) model_.Logits({});  // throws what the model can do
  if (model_.problem_type() != problem_type)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: the model gives a text {}, expected one that gives it {}", folder, WhatItGives(model_.problem_type()),
                            WhatItGives(problem_type)),
                "was it made before mlac.yaml said so? Under another name the new one starts without it");
}

TextInput SequenceModel::InputWith(const std::string& text) const {
  return {text, reads_pairs_ ? std::optional<std::string>("a") : std::nullopt};
}

TaskModel::Latency SequenceModel::MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) {
  return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.Logits(batch); });
}

std::vector<float> SequenceModel::Logits(std::span<const TextInput> inputs) {
  std::vector<float> logits;
  for (size_t begin = 0; begin < inputs.size(); begin += kTextsAtOnce) {
    const std::vector<float> some =
        model_.Logits(model_.Encode(inputs.subspan(begin, std::min(kTextsAtOnce, inputs.size() - begin))).batch);
    if (const std::optional<size_t> bad = FindRowNotFinite(some, model_.label_names().size())) {
      const TextInput& input = inputs[begin + *bad];
      throw Error(
          ErrorCode::kInvalidInput,
          fmt::format("the logits of {} are not finite", input.place.empty() ? fmt::format("text {}", begin + *bad + 1) : input.place),
          "the model's weights are broken, or overflow on this text");
    }
    logits.insert(logits.end(), some.begin(), some.end());
  }
  return logits;
}

std::vector<float> SequenceModel::Logits(const LabelledTexts& texts, const std::atomic<bool>& stop) {
  std::vector<float> logits;
  for (size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
    ThrowIfStopped(stop);
    std::vector<TextInput> part;
    for (size_t row = begin; row < std::min(begin + kTextsAtOnce, texts.size()); ++row) part.push_back(InputOf(texts, row));
    const std::vector<float> some = Logits(part);
    logits.insert(logits.end(), some.begin(), some.end());
  }
  return logits;
}

LabelledTexts ReadTargetTexts(const std::string& path, const ModelData& columns, ProblemType problem_type,
                              std::vector<std::string> label_names) {
  return ReadLabelledTexts(path, {.text_column = columns.text_column,
                                  .label_column = columns.target_column,
                                  .pair_column = columns.text_pair_column,
                                  .targets = problem_type != ProblemType::kSingleLabel,
                                  .label_names = std::move(label_names)});
}

TextInput InputOf(const LabelledTexts& texts, size_t row) {
  return {texts.texts[row], texts.pairs.empty() ? std::nullopt : std::optional(texts.pairs[row]), texts.Place(row)};
}

TestRow TestRowOf(const LabelledTexts& texts, size_t row, std::string truth) {
  return {InputOf(texts, row), {std::move(truth)}, texts.lines[row]};
}

LabelledTokens WithoutTokens(const LabelledTexts& texts, std::vector<float> targets) {
  LabelledTokens tokens;
  tokens.labels = texts.labels;
  tokens.targets = std::move(targets);
  tokens.source = texts.source;
  tokens.lines = texts.lines;
  tokens.files = texts.files;
  return tokens;
}

}  // namespace mlac
