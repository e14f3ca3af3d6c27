#pragma once
// How well sets are found: the labels of a text that may have several, the entities of a sentence.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/figures.h"

namespace mlac {

// What one example counts towards one class.
struct SetCount {
  size_t example = 0, label = 0;
  uint64_t correct = 0, support = 0, predicted = 0;  // found and there, there, found
};

// counts: rising by example. Figures, micro-averaged: "f1", "precision", "recall"; "macro_f1" over the classes that occur; "exact_match", the share of
// examples in which everything is right. Intervals are of 1,000 bootstrap samples of examples; those of a class as in ClassificationMetrics.
Figures ComputeSetMetrics(size_t num_examples, std::span<const SetCount> counts, std::vector<std::string> class_names, const MetricsOptions& options = {});

// The counts of texts with several labels. truth: [texts, labels], 1 or 0; logits likewise: a label is found where its logit is above 0.
std::vector<SetCount> CountLabels(std::span<const float> truth, std::span<const float> logits, size_t num_labels);

}  // namespace mlac
