#pragma once
// How well questions are answered, as SQuAD 2.0's official script counts it (https://rajpurkar.github.io/SQuAD-explorer/; Rajpurkar et al.
// 2018, https://arxiv.org/abs/1806.03822); where every question has an answer, that is how 1.1's counts.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/figures.h"

namespace mlac {

// The words of an answer as they are compared: lower case, without ASCII punctuation and the articles a, an and the. text must be valid
// UTF-8.
std::vector<std::string> WordsOfAnswer(std::string_view text);

struct AnswerScore {
  double exact = 0, f1 = 0;  // against the best of the answers given
  bool has_answer = true;
};

// gold: the answers given; none: the right answer is "". F1 is of words, each counted as often as it stands in both.
AnswerScore ScoreAnswer(std::string_view predicted, std::span<const std::string> gold);

// Means over questions: "f1", "exact_match" and, where some have no answer, "has_answer_f1", "has_answer_exact_match" and
// "no_answer_exact_match" (which is their F1, too). From 0 to 1, with intervals of 1,000 bootstrap samples of questions.
Figures ComputeAnswerMetrics(std::span<const AnswerScore> scores, const MetricsOptions& options = {});

}  // namespace mlac
