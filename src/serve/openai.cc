#include "serve/openai.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <iterator>
#include <optional>

#include "base/json.h"
#include "base/nearest_name.h"
#include "serve/inputs.h"
#include "serve/json_reader.h"
#include "serve/model_routes.h"

namespace mlac {
namespace {

constexpr int kOpenAiFieldStatus = 400;

struct EmbeddingsRequest {
  Inputs input;
  std::optional<size_t> dimensions;
  bool base64 = false;
};

constexpr std::string_view kFields[] = {"input", "model", "encoding_format", "dimensions", "user"};

// As OpenAI's own server refuses it: whoever mistypes "dimensions" would get whole vectors without a word. The name is a client's text, which
// no answer repeats.
HttpError UnknownField(std::string_view name, const JsonValue& value) {
  const std::vector<std::string> known(std::begin(kFields), std::end(kFields));
  std::string hint = DidYouMean(name, known);
  if (hint.empty()) hint = fmt::format("there are {}", fmt::join(known, ", "));
  return HttpError(kOpenAiFieldStatus, fmt::format("a field that embeddings do not have, with its value at byte {}", value.position()), "", hint);
}

EmbeddingsRequest Read(std::string body, const InferenceService& service) {
  const InputLimits limits = {.max_inputs = service.options().max_client_batch_size,
                              .too_many_status = kOpenAiFieldStatus,
                              .vocab_size = service.model().vocab_size()};
  EmbeddingsRequest request;
  JsonReader(std::move(body), kOpenAiFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "input") {
      request.input = ReadInputs(value, limits);
      return;
    }
    if (value.kind() == JsonValue::Kind::kNull) return;  // as if it were not there
    if (std::find(std::begin(kFields), std::end(kFields), name) == std::end(kFields)) throw UnknownField(name, value);
    if (name == "dimensions") request.dimensions = static_cast<size_t>(value.Integer(1, static_cast<int64_t>(service.model().output_size())));
    if (name == "encoding_format") request.base64 = value.Choice({"float", "base64"}) == 1;
    if (name == "model" || name == "user") value.String();  // one model, whatever it is called; of several PeekModel has chosen
  });
  if (request.input.inputs.empty()) throw HttpError(kOpenAiFieldStatus, "'input' is missing", "input");
  return request;
}

// Little-endian f32, as OpenAI sends them.
void AppendBase64(std::string& out, std::span<const float> vector) {
  static_assert(std::endian::native == std::endian::little);
  const size_t num_bytes = vector.size_bytes(), begin = out.size();
  out.resize(begin + (num_bytes + 2) / 3 * 4 + 1);  // EVP writes a NUL behind
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data() + begin), reinterpret_cast<const unsigned char*>(vector.data()),
                  static_cast<int>(num_bytes));
  out.pop_back();
}

HttpResponse Format(const InferenceService& service, const EmbeddingsRequest& request, const InferenceAnswer& answer) {
  HttpResponse response;
  std::string& body = response.body;
  body = R"({"object":"list","data":[)";
  for (size_t i = 0; i < answer.num_inputs; ++i) {
    std::vector<float> vector(answer.Row(i).begin(), answer.Row(i).end());
    if (request.dimensions) vector.resize(*request.dimensions);
    // A vector that is cut has length 1 again, as OpenAI's have; one that is whole is as `mlac run` gives it.
    if (request.dimensions || service.model().normalizes()) NormalizeVector(vector);
    body += fmt::format(R"({}{{"object":"embedding","index":{},"embedding":)", i > 0 ? "," : "", i);
    if (request.base64) {
      body += '"';
      AppendBase64(body, vector);
      body += '"';
    } else {
      AppendFloats(body, vector);
    }
    body += '}';
  }
  body += R"(],"model":)";
  AppendJsonString(body, service.name());
  body += fmt::format(R"(,"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})", answer.num_tokens, answer.num_tokens);
  return response;
}

void Embeddings(ModelCall call, HttpResponder responder) {
  InferenceService& service = *call.service;
  EmbeddingsRequest embeddings = Read(std::move(call.http.body), service);
  InferenceRequest inference = {.inputs = std::move(embeddings.input.inputs),
                                .is_batch = embeddings.input.is_batch,
                                .prompt = service.model().prompts().Default(),
                                .truncate = service.options().auto_truncate,
                                .field = "input",
                                .field_status = kOpenAiFieldStatus};
  service.Infer(std::move(call.slot), std::move(inference), std::move(responder),
                [&service, embeddings = std::move(embeddings)](const InferenceAnswer& answer) { return Format(service, embeddings, answer); });
}

// "model" of the body, in a server of several.
void PeekModel(const std::string& body, std::string& model, std::string_view&) {
  JsonReader(body, kOpenAiFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "model" && value.kind() != JsonValue::Kind::kNull) model = value.String();
  });
}

std::string FormatModel(const std::string& name, int64_t created) {
  std::string body = R"({"id":)";
  AppendJsonString(body, name);
  return body + fmt::format(R"(,"object":"model","created":{},"owned_by":"mlac"}})", created);
}

std::string_view CodeOf(const HttpError& error) {
  switch (error.status()) {
    case 401: return "invalid_api_key";
    case 404: return error.field() == "model" ? "model_not_found" : "not_found";
    case 405: return "method_not_allowed";
    case 413: return "request_too_large";
    case 429: return "overloaded";
    case 503: return "unavailable";
    default: return "";
  }
}

}  // namespace

HttpResponse FormatOpenAiError(const HttpError& error) {
  const auto nullable = [](std::string& out, std::string_view text) { text.empty() ? void(out += "null") : AppendJsonString(out, text); };
  HttpResponse response;
  response.body = R"({"error":{"message":)";
  AppendJsonString(response.body, error.what());
  response.body += R"(,"type":)";
  AppendJsonString(response.body, error.status() >= 500 ? "server_error" : error.status() == 429 ? "rate_limit_error" : "invalid_request_error");
  response.body += R"(,"param":)";
  nullable(response.body, error.field());
  response.body += R"(,"code":)";
  nullable(response.body, CodeOf(error));
  response.body += "}}";
  return response;
}

void AddOpenAiRoutes(HttpRouter& router, const ModelSet& models) {
  const int64_t created = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  AddModelRoute(router, models, {.pattern = "/v1/embeddings", .task = "feature-extraction", .handler = Embeddings, .peek = PeekModel});
  router.Add({.method = "GET", .pattern = "/v1/models", .handler = [&models, created](HttpRequest, HttpResponder responder) {
                std::string body;
                for (const ModelSet::ServicePtr& service : models.All())
                  body += fmt::format("{}{}", body.empty() ? "" : ",", FormatModel(service->name(), created));
                responder.Send({.body = fmt::format(R"({{"object":"list","data":[{}]}})", body)});
              }});
  router.Add({.method = "GET", .pattern = "/v1/models/{id*}", .handler = [&models, created](HttpRequest request, HttpResponder responder) {
                const ModelSet::ServicePtr service = FindModel(models, request.parameters[0]);
                NameModel(*service, responder);
                responder.Send({.body = FormatModel(service->name(), created)});
              }});
}

}  // namespace mlac
