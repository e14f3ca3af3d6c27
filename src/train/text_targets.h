#pragma once
// What texts with several labels, or with a number, are to give: from the cells of their column to floats; and how well that is met.
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/texts.h"
#include "pipelines/text_model.h"
#include "train/fine_tune.h"

namespace mlac {

// The labels of a cell: apart by separator, spaces around them left out, or by kListSeparator as they stand. An empty cell has none.
std::vector<std::string> SplitLabels(std::string_view cell, std::string_view separator);
// The items of a list as JSON Lines has it, or the cell itself.
std::vector<std::string> ItemsOf(const std::string& cell);

// All labels that occur, sorted as label names are. Throws kInvalidInput if there is none.
std::vector<std::string> LabelsOf(const LabelledTexts& texts, std::string_view separator);

// [texts, label_names]: 1 for each label of a text, else 0; of regression [texts, 1]. Empty for ProblemType::kSingleLabel. Throws kInvalidInput with the
// row's place for a label that is not among label_names and for what is no finite number.
std::vector<float> ReadTargets(const LabelledTexts& texts, ProblemType problem_type, const std::vector<std::string>& label_names,
                               std::string_view separator);

// Throws kInvalidArgument for kMultiLabel: there an empty cell is a text with no label.
void CheckMaySkipUnlabelled(bool skip, ProblemType problem_type);

// The figures of single labels in the form that all tasks have.
Figures ToFigures(const ClassificationMetrics& metrics);

// The metrics of logits [texts, labels]; `metrics` is set for ProblemType::kSingleLabel alone. check_stop: as in MetricsOptions.
void MeasureSequences(std::span<const float> logits, const LabelledTokens& texts, const std::vector<std::string>& label_names,
                      ProblemType problem_type, const std::function<void()>& check_stop, ClassificationMetrics& metrics, Figures& figures,
                      std::string& metrics_json);

}  // namespace mlac
