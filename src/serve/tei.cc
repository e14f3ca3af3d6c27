#include "serve/tei.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/json.h"
#include "pipelines/text_model.h"
#include "serve/inputs.h"
#include "serve/json_reader.h"
#include "version.h"

namespace mlac {
namespace {

constexpr int kFieldStatus = 422, kTooManyStatus = 413;
// A task that the model does not have ("backend error").
constexpr int kWrongModelStatus = 424;

// The fields of all three requests; each route reads those it has.
struct TeiRequest {
  Inputs inputs;
  std::vector<std::string> texts;  // of /tokenize
  std::optional<bool> truncate;
  bool truncate_left = false;
  std::string prompt;
  bool normalize = true, raw_scores = false, add_special_tokens = true;
  std::optional<size_t> dimensions;
};

InputLimits LimitsOf(const InferenceService& service) {
  return {.max_inputs = service.options().max_client_batch_size, .too_many_status = kTooManyStatus, .vocab_size = service.model().vocab_size()};
}

const std::string& FindPrompt(const InferenceService& service, const std::string& name, const std::string& field) {
  const auto& prompts = service.model().prompts();
  const auto found = prompts.find(name);
  if (found != prompts.end()) return found->second;
  std::string known;
  for (const auto& [key, prompt] : prompts) known += fmt::format("{}'{}'", known.empty() ? "" : ", ", key);
  throw HttpError(kFieldStatus, fmt::format("'{}' names no prompt of the model", field), field,
                  known.empty() ? "the model has none" : fmt::format("it has {}", known));
}

// read_inputs: what to do with the field "inputs".
TeiRequest Read(std::string body, const InferenceService& service, const std::function<void(TeiRequest&, JsonValue&)>& read_inputs) {
  TeiRequest request;
  bool has_inputs = false;
  JsonReader(std::move(body), kFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "inputs") {
      has_inputs = true;
      return read_inputs(request, value);
    }
    const bool null = value.kind() == JsonValue::Kind::kNull;
    if (name == "truncate" && !null) request.truncate = value.Bool();
    if (name == "truncation_direction") request.truncate_left = value.Choice({"Right", "right", "Left", "left"}) >= 2;
    if (name == "prompt_name" && !null) request.prompt = FindPrompt(service, value.String(), std::string(name));
    if (name == "normalize") request.normalize = value.Bool();
    if (name == "raw_scores") request.raw_scores = value.Bool();
    if (name == "add_special_tokens") request.add_special_tokens = value.Bool();
    if (name == "dimensions" && !null)
      request.dimensions = static_cast<size_t>(value.Integer(1, static_cast<int64_t>(service.model().output_size())));
  });
  if (!has_inputs) throw HttpError(kFieldStatus, "'inputs' is missing", "inputs");
  return request;
}

InferenceRequest ToInference(TeiRequest& request, const InferenceService& service) {
  return {.inputs = std::move(request.inputs.inputs),
          .is_batch = request.inputs.is_batch,
          .prompt = std::move(request.prompt),
          .truncate = request.truncate.value_or(service.options().auto_truncate),
          .truncate_left = request.truncate_left,
          .field = "inputs",
          .field_status = kFieldStatus};
}

HttpResponse FormatEmbeddings(const InferenceAnswer& answer, bool normalize, std::optional<size_t> dimensions) {
  HttpResponse response;
  response.body += '[';
  for (size_t i = 0; i < answer.num_inputs; ++i) {
    std::vector<float> vector(answer.Row(i).begin(), answer.Row(i).end());
    if (dimensions) vector.resize(*dimensions);
    if (normalize) NormalizeVector(vector);
    if (i > 0) response.body += ',';
    AppendFloats(response.body, vector);
  }
  response.body += ']';
  return response;
}

// The labels of one input, the likeliest first.
void AppendPrediction(std::string& body, std::span<const float> scores, const std::vector<std::string>& labels) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  body += '[';
  for (size_t i = 0; i < order.size(); ++i) {
    body += i > 0 ? R"(,{"score":)" : R"({"score":)";
    AppendFloat(body, scores[order[i]]);
    body += R"(,"label":)";
    AppendJsonString(body, labels[order[i]]);
    body += '}';
  }
  body += ']';
}

HttpResponse FormatPredictions(const ServedModel& model, const InferenceAnswer& answer, bool raw_scores, bool is_batch) {
  const std::vector<float> probabilities = raw_scores ? answer.values : Probabilities(answer.values, model.output_size());
  HttpResponse response;
  if (is_batch) response.body += '[';
  for (size_t i = 0; i < answer.num_inputs; ++i) {
    if (i > 0) response.body += ',';
    AppendPrediction(response.body, std::span(probabilities).subspan(i * model.output_size(), model.output_size()), model.label_names());
  }
  if (is_batch) response.body += ']';
  return response;
}

void Embed(InferenceService& service, HttpRequest http, HttpResponder responder) {
  InferenceService::Slot slot = service.Admit();
  TeiRequest request = Read(std::move(http.body), service, [&](TeiRequest& into, JsonValue& value) { into.inputs = ReadInputs(value, LimitsOf(service)); });
  if (service.model().is_classifier()) throw HttpError(kWrongModelStatus, "the model is no embedding model", "", "it classifies: ask POST /predict");
  InferenceRequest inference = ToInference(request, service);
  service.Infer(std::move(slot), std::move(inference), std::move(responder),
                [normalize = request.normalize, dimensions = request.dimensions](const InferenceAnswer& answer) {
                  return FormatEmbeddings(answer, normalize, dimensions);
                });
}

void Predict(InferenceService& service, HttpRequest http, HttpResponder responder) {
  InferenceService::Slot slot = service.Admit();
  TeiRequest request =
      Read(std::move(http.body), service, [&](TeiRequest& into, JsonValue& value) { into.inputs = ReadPredictInputs(value, LimitsOf(service)); });
  if (!service.model().is_classifier())
    throw HttpError(kWrongModelStatus, "the model is no classifier", "",
                    "it gives embeddings: ask POST /embed; `mlac train text-classification` makes a classifier of it");
  InferenceRequest inference = ToInference(request, service);
  service.Infer(std::move(slot), std::move(inference), std::move(responder),
                [&service, raw_scores = request.raw_scores, is_batch = request.inputs.is_batch](const InferenceAnswer& answer) {
                  return FormatPredictions(service.model(), answer, raw_scores, is_batch);
                });
}

// [[{"id", "text", "special", "start", "stop"}, ...], ...]; start and stop in bytes, null for special tokens.
std::string Tokenize(const Tokenizer& tokenizer, const TeiRequest& request) {
  std::string body = "[";
  for (size_t i = 0; i < request.texts.size(); ++i) {
    const std::string text = request.prompt + request.texts[i];
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

void HandleTokenize(InferenceService& service, HttpRequest http, HttpResponder responder) {
  InferenceService::Slot slot = service.Admit();
  auto request = std::make_shared<TeiRequest>(
      Read(std::move(http.body), service, [&](TeiRequest& into, JsonValue& value) { into.texts = ReadTexts(value, LimitsOf(service)); }));
  service.InBackground(responder, [&service, request, responder, slot = std::move(slot)] {
    responder.Send({.body = Tokenize(service.model().tokenizer(), *request)});
  });
}

std::string FormatInfo(const InferenceService& service) {
  const ServedModel& model = service.model();
  const InferenceServiceOptions& options = service.options();
  std::string body = R"({"model_id":)";
  AppendJsonString(body, options.model_name);
  body += R"(,"model_sha":null,"model_dtype":"float32","served_model_name":)";
  AppendJsonString(body, options.model_name);
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
    body += fmt::format(R"({{"classifier":{{"id2label":{{{}}},"label2id":{{{}}}}}}})", id2label, label2id);
  } else {
    body += fmt::format(R"({{"embedding":{{"pooling":"{}"}}}})", model.pooling());
  }
  body += fmt::format(R"(,"max_concurrent_requests":{},"max_input_length":{},"max_batch_tokens":{},"max_batch_requests":null)",
                      options.max_concurrent_requests, model.max_length(), options.max_batch_tokens);
  body += fmt::format(R"(,"max_client_batch_size":{},"auto_truncate":{},"tokenization_workers":1,"version":"{}","sha":null,"docker_label":null}})",
                      options.max_client_batch_size, options.auto_truncate, kMlacVersion);
  return body;
}

std::string_view ErrorType(const HttpError& error) {
  switch (error.status()) {
    case 400: return error.field().empty() ? "Validation" : "Empty";  // the one fault of a field that TEI answers with 400
    case 429: return "Overloaded";
    case 503: return "Unhealthy";
    default: return error.status() == kWrongModelStatus || error.status() >= 500 ? "Backend" : "Validation";
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

void AddTeiRoutes(HttpRouter& router, InferenceService& service) {
  const auto add_post = [&](const char* pattern, void (*handle)(InferenceService&, HttpRequest, HttpResponder)) {
    router.Add({.method = "POST",
                .pattern = pattern,
                .handler = [&service, handle](HttpRequest request, HttpResponder responder) { handle(service, std::move(request), std::move(responder)); },
                .content_type = "application/json"});
  };
  add_post("/embed", Embed);
  add_post("/predict", Predict);
  add_post("/tokenize", HandleTokenize);
  add_post("/", service.model().is_classifier() ? Predict : Embed);
  router.Add({.method = "GET", .pattern = "/info", .handler = [body = FormatInfo(service)](HttpRequest, HttpResponder responder) {
                responder.Send({.body = body});
              }});
  router.Add({.method = "GET",
              .pattern = "/health",
              .handler = [](HttpRequest, HttpResponder responder) { responder.Send({.content_type = "text/plain"}); },
              .open = true});
}

}  // namespace mlac
