#pragma once
// Classification and regression of whole texts: one label a text, several, or numbers.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "pipelines/text_model.h"
#include "train/objective.h"

namespace mlac {

// Texts as tokens, with what each is to give, and for messages where they stand: a line of the file `source`, or a file of the folder.
struct LabelledTokens {
  TokenBatch tokens;
  std::vector<int32_t> labels;   // of ProblemType::kSingleLabel: one a text; else 0
  std::vector<float> targets = {};  // of the others: [texts, labels of the model], 1 for a label that a text has and 0 for others (or between), or the numbers
  std::string source;
  std::vector<size_t> lines;
  std::vector<std::string> files;  // as in LabelledTexts: empty unless source is a folder

  size_t size() const { return labels.size(); }
  std::string Places(std::span<const size_t> rows) const { return PlacesOf(source, lines, files, rows); }
};

struct SequenceObjectiveOptions {
  ProblemType problem_type = ProblemType::kSingleLabel;
  bool class_weights = false;   // each label weighs as if all were equally frequent; kSingleLabel only
  double label_smoothing = 0;   // the share of a label that all labels get alike: Szegedy et al. 2015, section 7, https://arxiv.org/abs/1512.00567; likewise
};

// Cross-entropy, binary cross-entropy of each label, or squared error. model has a sequence-classification head; all outlive the objective.
std::unique_ptr<Objective> MakeSequenceObjective(Model& model, const LabelledTokens& train, const LabelledTokens& validation,
                                                 const SequenceObjectiveOptions& options);

// Logits of all texts, [texts, labels] row-major, in batches of some thousand tokens; before_batch, if any, is called before each and may
// throw. Throws kInvalidInput for logits that are not finite, naming the texts' places.
std::vector<float> Predict(const Model& model, Run& run, const LabelledTokens& texts, const std::function<void()>& before_batch = nullptr);

// The index of the greatest logit of each row, the first of equals.
std::vector<int32_t> Argmax(std::span<const float> logits, size_t num_labels);

// Losses of logits [rows, num_labels] without smoothing and weights, one a row, as the objective takes them: of several labels the mean.
std::vector<float> LossesOf(std::span<const float> logits, const LabelledTokens& texts, size_t num_labels, ProblemType problem_type);

}  // namespace mlac
