// text-classification and text-ranking in Hugging Face's form.
#include <fmt/format.h>

#include <array>

#include "pipelines/text_model.h"
#include "serve/answers.h"
#include "serve/hub_form.h"
#include "serve/json_reader.h"
#include "serve/text_options.h"

namespace mlac {
namespace {

using Kind = JsonValue::Kind;

struct ClassificationRequest {
  Inputs inputs;
  TextOptions options;
  std::optional<ScoreFunction> function;
  size_t top_k = SIZE_MAX;
};

ClassificationRequest ReadClassification(std::string body, const InferenceService& service) {
  ClassificationRequest request;
  const auto read_parameter = [&](std::string_view name, JsonValue& value) {
    ReadTextOption(name, value, service.model(), request.options);
    if (value.kind() == Kind::kNull) return;
    if (name == "top_k") request.top_k = static_cast<size_t>(value.Integer(1, INT32_MAX));
    if (name == "function_to_apply")
      request.function =
          std::array{ScoreFunction::kNone, ScoreFunction::kSigmoid, ScoreFunction::kSoftmax}[value.Choice({"none", "sigmoid", "softmax"})];
  };
  JsonReader(std::move(body), kHubFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "inputs") request.inputs = ReadTextsOrPairs(value, HubLimits(service));
    if (name == "parameters" && value.kind() != Kind::kNull) value.ForEachField(read_parameter);
    if (name == "truncate" || name == "truncation_direction") ReadTextOption(name, value, service.model(), request.options);
  });
  if (request.inputs.inputs.empty()) throw MissingField("inputs");
  return request;
}

struct RankingRequest {
  std::optional<std::string> query;
  std::vector<std::string> texts;
  TextOptions options;
  bool raw_scores = false, return_text = false;
};

RankingRequest ReadRanking(std::string body, const InferenceService& service) {
  RankingRequest request;
  JsonReader(std::move(body), kHubFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    ReadTextOption(name, value, service.model(), request.options);
    if (name == "query") {
      request.query = value.String();
      if (request.query->empty()) throw HttpError(400, "'query' cannot be empty", "query");
    }
    if (name == "texts") {
      if (value.kind() != Kind::kArray) throw value.Error("a list of texts");
      request.texts = ReadTexts(value, HubLimits(service));
    }
    if (name == "raw_scores") request.raw_scores = value.Bool();
    if (name == "return_text") request.return_text = value.Bool();
  });
  if (!request.query) throw MissingField("query");
  if (request.texts.empty()) throw HttpError(kHubFieldStatus, "'texts' is missing beside 'query'", "texts");
  return request;
}

}  // namespace

void HubTextClassification(ModelCall call, HttpResponder responder) {
  InferenceService& service = *call.service;
  ClassificationRequest request = ReadClassification(std::move(call.http.body), service);
  const ScoreFunction function = request.function.value_or(DefaultScores(service.model()));
  service.Infer(std::move(call.slot), ToInference(std::move(request.inputs), request.options, service), std::move(responder),
                [&model = service.model(), function, top_k = request.top_k](const InferenceAnswer& answer) {
                  const std::vector<float> scores = Scores(answer.values, model.output_size(), function);
                  HttpResponse response;
                  for (size_t i = 0; i < answer.num_inputs; ++i) {
                    response.body += i > 0 ? ',' : '[';
                    AppendLabels(response.body, std::span(scores).subspan(i * model.output_size(), model.output_size()),
                                 model.label_names(), top_k);
                  }
                  response.body += ']';
                  return response;
                });
}

void HubTextRanking(ModelCall call, HttpResponder responder) {
  InferenceService& service = *call.service;
  RankingRequest request = ReadRanking(std::move(call.http.body), service);
  const double num_bytes = static_cast<double>(request.query->size()) * static_cast<double>(request.texts.size());
  CheckRepeatedBytes(num_bytes, "'query' beside each of 'texts'", "query");
  Inputs texts = {.inputs = {}, .is_batch = true};
  for (const std::string& text : request.texts) texts.inputs.emplace_back(text);
  InferenceRequest inference = ToInference(std::move(texts), request.options, service);
  inference.query = std::move(*request.query);
  if (const TextModel* model = service.model().text_model(); model != nullptr) inference.prompt = model->ranking_prompts().Default();
  inference.field = "texts";
  if (!request.return_text) request.texts.clear();
  service.Infer(std::move(call.slot), std::move(inference), std::move(responder),
                [texts = std::move(request.texts), raw = request.raw_scores](const InferenceAnswer& answer) {
                  return FormatRanking(Scores(answer.values, 1, raw ? ScoreFunction::kNone : ScoreFunction::kSigmoid), texts);
                });
}

}  // namespace mlac
