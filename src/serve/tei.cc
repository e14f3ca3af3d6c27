#include "serve/tei.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/json.h"
#include "serve/answers.h"
#include "serve/hub_form.h"
#include "serve/inputs.h"
#include "serve/json_reader.h"
#include "serve/text_options.h"
#include "version.h"

namespace mlac {
namespace {

// The fields of all requests; each route reads those it has.
struct TeiRequest {
  Inputs inputs;
  std::vector<std::string> texts;  // of /tokenize
  TextOptions options;
  bool raw_scores = false, add_special_tokens = true;
};

// read_inputs: what to do with the field "inputs".
TeiRequest Read(std::string body, const InferenceService& service, const std::function<void(TeiRequest&, JsonValue&)>& read_inputs) {
  TeiRequest request;
  bool has_inputs = false;
  JsonReader(std::move(body), kHubFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "inputs") {
      has_inputs = true;
      return read_inputs(request, value);
    }
    ReadTextOption(name, value, service.model(), request.options);
    if (name == "raw_scores") request.raw_scores = value.Bool();
    if (name == "add_special_tokens") request.add_special_tokens = value.Bool();
  });
  if (!has_inputs) throw MissingField("inputs");
  return request;
}

HttpResponse FormatPredictions(const ServedModel& model, const InferenceAnswer& answer, bool raw_scores, bool is_batch) {
  const std::vector<float> scores = Scores(answer.values, model.output_size(), raw_scores ? ScoreFunction::kNone : DefaultScores(model));
  HttpResponse response;
  if (is_batch) response.body += '[';
  for (size_t i = 0; i < answer.num_inputs; ++i) {
    if (i > 0) response.body += ',';
    AppendLabels(response.body, std::span(scores).subspan(i * model.output_size(), model.output_size()), model.label_names());
  }
  if (is_batch) response.body += ']';
  return response;
}

TeiRequest ReadEmbed(ModelCall& call) {
  const InferenceService& service = *call.service;
  return Read(std::move(call.http.body), service, [&](TeiRequest& into, JsonValue& value) { into.inputs = ReadInputs(value, HubLimits(service)); });
}

void Embed(ModelCall call, HttpResponder responder) {
  if (HasName(call.http.body, "parameters")) return HubFeatureExtraction(std::move(call), std::move(responder));
  InferenceService& service = *call.service;
  TeiRequest request = ReadEmbed(call);
  service.Infer(std::move(call.slot), ToInference(std::move(request.inputs), request.options, service), std::move(responder),
                [normalize = request.options.normalize.value_or(true), dimensions = request.options.dimensions](const InferenceAnswer& answer) {
                  return FormatVectors(answer, normalize, dimensions);
                });
}

void EmbedAll(ModelCall call, HttpResponder responder) {
  InferenceService& service = *call.service;
  TeiRequest request = ReadEmbed(call);
  InferenceRequest inference = ToInference(std::move(request.inputs), request.options, service);
  inference.output = Output::kTokens;
  service.Infer(std::move(call.slot), std::move(inference), std::move(responder), FormatTokenVectors);
}

void Predict(ModelCall call, HttpResponder responder) {
  if (HasName(call.http.body, "parameters")) return HubTextClassification(std::move(call), std::move(responder));
  InferenceService& service = *call.service;
  TeiRequest request =
      Read(std::move(call.http.body), service, [&](TeiRequest& into, JsonValue& value) { into.inputs = ReadPredictInputs(value, HubLimits(service)); });
  const bool is_batch = request.inputs.is_batch;
  service.Infer(std::move(call.slot), ToInference(std::move(request.inputs), request.options, service), std::move(responder),
                [&model = service.model(), raw_scores = request.raw_scores, is_batch](const InferenceAnswer& answer) {
                  return FormatPredictions(model, answer, raw_scores, is_batch);
                });
}

// [[{"id", "text", "special", "start", "stop"}, ...], ...]; start and stop in bytes, null for special tokens.
std::string Tokenize(const ServedModel& model, const TeiRequest& request) {
  const Tokenizer& tokenizer = model.tokenizer();
  const std::string& prompt = PromptOf(request.options, model);
  std::string body = "[";
  for (size_t i = 0; i < request.texts.size(); ++i) {
    const std::string text = prompt + request.texts[i];
    const Encoding encoding = tokenizer.Encode(text, {.add_special_tokens = request.add_special_tokens, .with_offsets = true});
    body += i > 0 ? ",[" : "[";
    for (size_t t = 0; t < encoding.token_ids.size(); ++t) {
      const bool special = encoding.special_tokens_mask[t] != 0;
      const TextSpan span = encoding.offsets[t];
      body += fmt::format(R"({}{{"id":{},"text":)", t > 0 ? "," : "", encoding.token_ids[t]);
      AppendJsonString(body, special ? tokenizer.TokenOf(encoding.token_ids[t]) : std::string_view(text).substr(span.begin, span.end - span.begin));
      body += special ? R"(,"special":true,"start":null,"stop":null})"
                      : fmt::format(R"(,"special":false,"start":{},"stop":{}}})", span.begin, span.end);
    }
    body += ']';
  }
  return body + ']';
}

void HandleTokenize(ModelCall call, HttpResponder responder) {
  InferenceService& service = *call.service;
  auto request = std::make_shared<TeiRequest>(
      Read(std::move(call.http.body), service, [&](TeiRequest& into, JsonValue& value) { into.texts = ReadTexts(value, HubLimits(service)); }));
  service.InBackground(responder, [service = call.service, request, responder, slot = std::move(call.slot)] {
    responder.Send({.body = Tokenize(service->model(), *request)});
  });
}

std::string FormatInfo(const InferenceService& service) {
  const ServedModel& model = service.model();
  const InferenceServiceOptions& options = service.options();
  std::string body = R"({"model_id":)";
  AppendJsonString(body, service.name());
  const ModelOrigin& origin = service.origin();
  body += fmt::format(R"(,"model_sha":{},"model_dtype":"{}","served_model_name":)",
                      origin.revision.empty() ? "null" : '"' + origin.revision + '"', model.dtype());
  AppendJsonString(body, service.name());
  body += R"(,"model_type":)";
  if (model.is_classifier()) {
    std::string id2label, label2id;
    for (size_t i = 0; i < model.label_names().size(); ++i) {
      id2label += fmt::format("{}\"{}\":", i > 0 ? "," : "", i);
      AppendJsonString(id2label, model.label_names()[i]);
      if (i > 0) label2id += ',';
      AppendJsonString(label2id, model.label_names()[i]);
      label2id += fmt::format(":{}", i);
    }
    body += fmt::format(R"({{"{}":{{"id2label":{{{}}},"label2id":{{{}}}}}}})", Does(model, "text-ranking") ? "reranker" : "classifier", id2label, label2id);
  } else if (!Does(model, "feature-extraction")) {
    body += fmt::format(R"({{"{}":{{}}}})", model.tasks().front());  // which text-embeddings-inference does not have
  } else {
    body += fmt::format(R"({{"embedding":{{"pooling":"{}"}}}})", model.pooling());
  }
  body += fmt::format(R"(,"tasks":["{}"],"mask_token":)", fmt::join(model.tasks(), R"(",")"));
  if (const int32_t mask = model.tokenizer().special_ids().mask; mask >= 0 && Does(model, "fill-mask")) {
    AppendJsonString(body, model.tokenizer().TokenOf(mask));
  } else {
    body += "null";
  }
  body += fmt::format(R"(,"max_concurrent_requests":{},"max_input_length":{},"max_batch_tokens":{},"max_batch_requests":null)",
                      options.max_concurrent_requests, model.max_length(), options.max_batch_tokens);
  body += fmt::format(R"(,"max_client_batch_size":{},"auto_truncate":{},"tokenization_workers":1,"version":"{}","sha":null,"docker_label":null)",
                      options.max_client_batch_size, options.auto_truncate, kMlacVersion);
  if (!origin.record.empty()) body += ",\"record\":" + origin.record;
  return body + '}';
}

std::string_view ErrorType(const HttpError& error) {
  switch (error.status()) {
    case 400: return error.field().empty() ? "Validation" : "Empty";  // the one fault of a field that TEI answers with 400
    case 429: return "Overloaded";
    case 503: return "Unhealthy";
    default: return error.status() >= 500 ? "Backend" : "Validation";
  }
}

}  // namespace

HttpResponse FormatTeiError(const HttpError& error) {
  HttpResponse response;
  response.body = R"({"error":)";
  AppendJsonString(response.body, error.what());
  response.body += fmt::format(R"(,"error_type":"{}"}})", ErrorType(error));
  return response;
}

void AddTeiRoutes(HttpRouter& router, const ModelSet& models) {
  AddModelRoute(router, models, {.pattern = "/embed", .task = "feature-extraction", .handler = Embed});
  AddModelRoute(router, models, {.pattern = "/embed_all", .task = "feature-extraction", .handler = EmbedAll});
  AddModelRoute(router, models, {.pattern = "/similarity", .task = "sentence-similarity", .handler = HubSentenceSimilarity});
  AddModelRoute(router, models, {.pattern = "/predict", .task = "text-classification", .handler = Predict});
  AddModelRoute(router, models, {.pattern = "/rerank", .task = "text-ranking", .handler = HubTextRanking});
  AddModelRoute(router, models, {.pattern = "/tokenize", .handler = HandleTokenize});
  AddModelRoute(router, models, {.method = "GET", .pattern = "/info", .handler = [](ModelCall call, HttpResponder responder) {
                                   responder.Send({.body = FormatInfo(*call.service)});
                                 }});
  router.Add({.method = "GET",
              .pattern = "/health",
              .handler = [](HttpRequest, HttpResponder responder) { responder.Send({.content_type = "text/plain"}); },
              .open = true});
}

}  // namespace mlac
