#pragma once
// Models that give each text, or pair of texts, a row of logits: what the kinds of text-classification share.
#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "data/texts.h"
#include "pipelines/text_model.h"
#include "project/model_task.h"
#include "train/sequence_objective.h"

namespace mlac {

class SequenceModel : public TaskModel {
 public:
  // data: whether it has a column of second texts. Throws as TextModel, and kUnsupported for a model that gives texts something else.
  SequenceModel(const std::string& folder, const ModelData& data, size_t num_threads, ProblemType problem_type);

  const std::vector<std::string>& labels() const override { return model_.label_names(); }
  size_t max_tokens() const override { return model_.model().max_positions(); }
  TextInput InputWith(const std::string& text) const override;
  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override;

  // [inputs, labels]. Throws kInvalidInput with the place of an input whose logits are not finite.
  std::vector<float> Logits(std::span<const TextInput> inputs);
  // The same of some hundred at a time. Throws kCancelled once stop is true.
  std::vector<float> Logits(const LabelledTexts& texts, const std::atomic<bool>& stop);

 private:
  TextModel model_;
  bool reads_pairs_;
};

// Texts or pairs of a file with what stands in the column of targets, as training reads them. label_names: as in LabelledTextsOptions.
LabelledTexts ReadTargetTexts(const std::string& path, const ModelData& columns, ProblemType problem_type,
                              std::vector<std::string> label_names = {});

// A row as the model takes it.
TextInput InputOf(const LabelledTexts& texts, size_t row);

// The row with its place, and what is right: one answer.
TestRow TestRowOf(const LabelledTexts& texts, size_t row, std::string truth);

// Texts without tokens, for functions of train/ that look at what is right and where it stands.
LabelledTokens WithoutTokens(const LabelledTexts& texts, std::vector<float> targets);

}  // namespace mlac
