#include "serve/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/json.h"

namespace mlac {
namespace {

// Indices of scores, the best first; equal ones in their order.
std::vector<size_t> BestFirst(std::span<const float> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  return order;
}

}  // namespace

ScoreFunction DefaultScores(const ServedModel& model) {
  switch (model.problem_type()) {
    case ProblemType::kSingleLabel:
      return ScoreFunction::kSoftmax;
    case ProblemType::kMultiLabel:
      return ScoreFunction::kSigmoid;
    case ProblemType::kRegression:
      break;
  }
  return ScoreFunction::kNone;
}

std::vector<float> Scores(std::span<const float> logits, size_t num_labels, ScoreFunction function) {
  switch (function) {
    case ScoreFunction::kSoftmax:
      return Probabilities(logits, num_labels);
    case ScoreFunction::kSigmoid:
      return Sigmoids(logits);
    case ScoreFunction::kNone:
      break;
  }
  return {logits.begin(), logits.end()};
}

std::vector<float> VectorOf(const InferenceAnswer& answer, size_t index, bool normalize, std::optional<size_t> dimensions) {
  std::vector<float> vector(answer.Row(index).begin(), answer.Row(index).end());
  if (dimensions) vector.resize(*dimensions);
  if (normalize) NormalizeVector(vector);
  return vector;
}

HttpResponse FormatVectors(const InferenceAnswer& answer, bool normalize, std::optional<size_t> dimensions) {
  HttpResponse response;
  response.body += '[';
  for (size_t i = 0; i < answer.num_inputs; ++i) {
    if (i > 0) response.body += ',';
    AppendFloats(response.body, VectorOf(answer, i, normalize, dimensions));
  }
  response.body += ']';
  return response;
}

HttpResponse FormatTokenVectors(const InferenceAnswer& answer) {
  const size_t size = answer.values.size() / answer.num_tokens;
  HttpResponse response;
  for (size_t i = 0; i < answer.num_inputs; ++i) {
    response.body += i > 0 ? ",[" : "[[";
    for (size_t t = answer.offsets[i]; t < answer.offsets[i + 1]; ++t) {
      if (t > answer.offsets[i]) response.body += ',';
      AppendFloats(response.body, std::span(answer.values).subspan(t * size, size));
    }
    response.body += ']';
  }
  response.body += ']';
  return response;
}

void AppendLabels(std::string& body, std::span<const float> scores, const std::vector<std::string>& labels, size_t max_labels) {
  const std::vector<size_t> order = BestFirst(scores);
  body += '[';
  for (size_t i = 0; i < std::min(order.size(), max_labels); ++i) {
    body += i > 0 ? R"(,{"score":)" : R"({"score":)";
    AppendFloat(body, scores[order[i]]);
    body += R"(,"label":)";
    AppendJsonString(body, labels[order[i]]);
    body += '}';
  }
  body += ']';
}

HttpResponse FormatSimilarities(const InferenceAnswer& answer, bool normalize) {
  const std::vector<float> first = VectorOf(answer, 0, normalize);
  std::vector<float> cosines;
  for (size_t i = 1; i < answer.num_inputs; ++i) cosines.push_back(Cosine(first, VectorOf(answer, i, normalize)));
  HttpResponse response;
  AppendFloats(response.body, cosines);
  return response;
}

HttpResponse FormatRanking(std::span<const float> scores, const std::vector<std::string>& texts) {
  HttpResponse response;
  for (const size_t index : BestFirst(scores)) {
    response.body += fmt::format(R"({}{{"index":{},"score":)", response.body.empty() ? "[" : ",", index);
    AppendFloat(response.body, scores[index]);
    if (!texts.empty()) {
      response.body += R"(,"text":)";
      AppendJsonString(response.body, texts[index]);
    }
    response.body += '}';
  }
  response.body += ']';
  return response;
}

}  // namespace mlac
