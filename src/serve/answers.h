#pragma once
// Answers as the protocols of Hugging Face write them, from what a model computed.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipelines/task.h"
#include "serve/inference_service.h"

namespace mlac {

// What becomes of a classifier's logits where a request does not say, as `mlac run` has it.
ScoreFunction DefaultScores(const ServedModel& model);
// Rows of num_labels.
std::vector<float> Scores(std::span<const float> logits, size_t num_labels, ScoreFunction function);

// One vector of the answer, cut to dimensions and divided by its length if wished.
std::vector<float> VectorOf(const InferenceAnswer& answer, size_t index, bool normalize, std::optional<size_t> dimensions = std::nullopt);
// [[...], ...]: one vector an input.
HttpResponse FormatVectors(const InferenceAnswer& answer, bool normalize, std::optional<size_t> dimensions);
// [[[...], ...], ...]: one vector a token, of each input.
HttpResponse FormatTokenVectors(const InferenceAnswer& answer);

// Appends [{"score", "label"}, ...], the best first, at most max_labels of them.
void AppendLabels(std::string& body, std::span<const float> scores, const std::vector<std::string>& labels, size_t max_labels = SIZE_MAX);

// [0.61, 0.05]: the cosine of the first vector with each other one, as `mlac run sentence-similarity` gives it.
HttpResponse FormatSimilarities(const InferenceAnswer& answer, bool normalize);

// [{"index", "score"}, ...], the best first; with "text" where texts is not empty.
HttpResponse FormatRanking(std::span<const float> scores, const std::vector<std::string>& texts);

}  // namespace mlac
