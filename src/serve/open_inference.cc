#include "serve/open_inference.h"

#include <fmt/format.h>

#include "base/json.h"
#include "serve/answers.h"
#include "serve/model_routes.h"
#include "serve/open_inference_tensors.h"
#include "version.h"

namespace mlac {
namespace {

constexpr std::string_view kVersion = "1";  // of every model: what is served under a name changes places, and has no history here

HttpError Refuse(std::string message, std::string field) { return HttpError(kOpenInferenceFieldStatus, std::move(message), std::move(field)); }

void CheckCount(size_t num_inputs, size_t max_inputs, std::string_view field) {
  if (num_inputs > max_inputs) throw Refuse(fmt::format("'{}' has more than {} inputs", field, max_inputs), std::string(field));
}

// Input "text": BYTES [n], [n, 1] or, of pairs, [n, 2].
std::vector<InferenceInput> TakeTexts(const OpenInferenceInput& text) {
  const bool is_pair = text.shape.size() == 2 && text.shape[1] == 2;
  if (text.datatype != "BYTES" || !(text.shape.size() == 1 || is_pair || (text.shape.size() == 2 && text.shape[1] == 1)))
    throw Refuse("'text' must be BYTES of the shape [n], or [n, 2] of pairs", "text");
  std::vector<InferenceInput> inputs;
  for (size_t i = 0; i < text.texts.size(); ++i)
    if (text.texts[i].empty()) throw Refuse(fmt::format("'text[{}]' cannot be empty", i), fmt::format("text[{}]", i));
  for (size_t i = 0; i < text.texts.size(); i += is_pair ? 2 : 1) {
    if (is_pair) {
      inputs.emplace_back(std::pair(text.texts[i], text.texts[i + 1]));
    } else {
      inputs.emplace_back(text.texts[i]);
    }
  }
  return inputs;
}

// Inputs "input_ids", INT64 of all sequences end to end, and "lengths", INT64 of each.
std::vector<InferenceInput> TakeIds(const OpenInferenceInput& ids, const OpenInferenceInput* lengths, const ServedModel& model,
                                    size_t max_inputs) {
  if (ids.datatype != "INT64" || ids.shape.size() != 1)
    throw Refuse("'input_ids' must be INT64 of the shape [tokens], all sequences end to end", "input_ids");
  if (lengths == nullptr || lengths->datatype != "INT64" || lengths->shape.size() != 1)
    throw Refuse("'lengths' must come with 'input_ids': INT64 of the shape [n], the tokens of each sequence", "lengths");
  CheckCount(lengths->integers.size(), max_inputs, "input_ids");  // before each has memory of its own: a million take 2 MB of JSON
  std::vector<InferenceInput> inputs;
  size_t begin = 0;
  for (const int64_t length : lengths->integers) {
    if (length < 1 || static_cast<uint64_t>(length) > ids.integers.size() - begin)
      throw Refuse(
          fmt::format("'lengths[{}]' is {}; {} tokens of 'input_ids' are left", inputs.size(), length, ids.integers.size() - begin),
          "lengths");
    std::vector<int32_t> sequence;
    for (size_t i = begin; i < begin + static_cast<size_t>(length); ++i) {
      if (ids.integers[i] < 0 || static_cast<uint64_t>(ids.integers[i]) >= model.vocab_size())
        throw Refuse(fmt::format("'input_ids[{}]' must be from 0 to {}, is {}", i, model.vocab_size() - 1, ids.integers[i]), "input_ids");
      sequence.push_back(static_cast<int32_t>(ids.integers[i]));
    }
    begin += sequence.size();
    inputs.emplace_back(std::move(sequence));
  }
  if (begin != ids.integers.size())
    throw Refuse(fmt::format("'lengths' add up to {}; 'input_ids' has {}", begin, ids.integers.size()), "lengths");
  return inputs;
}

std::vector<std::string_view> OutputNames(const ServedModel& model) {
  if (model.is_classifier()) return {"scores", "label"};
  if (Does(model, "feature-extraction")) return {"embedding"};
  return {};
}

void CheckOutputs(const OpenInferenceRequest& request, const ServedModel& model) {
  const std::vector<std::string_view> names = OutputNames(model);
  for (size_t i = 0; i < request.outputs.size(); ++i)
    if (std::find(names.begin(), names.end(), request.outputs[i].name) == names.end())
      throw Refuse(fmt::format("'outputs[{}].name' is no output of the model", i), fmt::format("outputs[{}].name", i));
}

HttpResponse Format(const OpenInferenceRequest& request, const InferenceService& service, const InferenceAnswer& answer) {
  const ServedModel& model = service.model();
  OpenInferenceWriter writer(request, service.name());
  if (!model.is_classifier()) {
    std::vector<float> vectors;
    for (size_t i = 0; i < answer.num_inputs; ++i) {
      const std::vector<float> vector = VectorOf(answer, i, model.normalizes());
      vectors.insert(vectors.end(), vector.begin(), vector.end());
    }
    writer.AddFloats("embedding", {answer.num_inputs, model.output_size()}, vectors);
    return std::move(writer).Finish();
  }
  const std::vector<float> scores = Scores(answer.values, model.output_size(), DefaultScores(model));
  std::vector<std::string> labels;
  for (size_t i = 0; i < answer.num_inputs; ++i) {
    const auto row = scores.begin() + static_cast<ptrdiff_t>(i * model.output_size());
    labels.push_back(
        model.label_names()[static_cast<size_t>(std::max_element(row, row + static_cast<ptrdiff_t>(model.output_size())) - row)]);
  }
  writer.AddFloats("scores", {answer.num_inputs, model.output_size()}, scores);
  writer.AddTexts("label", labels);
  return std::move(writer).Finish();
}

void Infer(const ModelSet::ServicePtr& service, HttpRequest http, HttpResponder responder) {
  InferenceService::Slot slot = service->Admit();
  if (!slot) return responder.SendError(InferenceService::Overloaded());
  const ServedModel& model = service->model();
  if (OutputNames(model).empty())
    throw Refuse(fmt::format("the model '{}' does {}, which this protocol is not spoken for", service->name(), model.tasks().front()),
                 "model")
        .Because("no_task");
  const size_t max_inputs = service->options().max_client_batch_size;
  OpenInferenceRequest request = ReadOpenInference(std::move(http.body), http.Field("inference-header-content-length"), 2 * max_inputs);
  CheckOutputs(request, model);
  const OpenInferenceInput *text = request.Find("text"), *ids = request.Find("input_ids");
  if ((text == nullptr) == (ids == nullptr)) throw Refuse("one of the inputs 'text' and 'input_ids' is expected", "inputs");
  InferenceRequest inference = {.inputs = text != nullptr ? TakeTexts(*text) : TakeIds(*ids, request.Find("lengths"), model, max_inputs),
                                .is_batch = true,
                                .prompt = model.prompts().Default(),
                                .truncate = service->options().auto_truncate,
                                .field = text != nullptr ? "text" : "input_ids",
                                .field_status = kOpenInferenceFieldStatus};
  if (inference.inputs.empty()) throw Refuse(fmt::format("'{}' has no values", inference.field), std::string(inference.field));
  CheckCount(inference.inputs.size(), max_inputs, inference.field);
  request.inputs.clear();
  service->Infer(
      std::move(slot), std::move(inference), std::move(responder),
      [service = service.get(), request = std::move(request)](const InferenceAnswer& answer) { return Format(request, *service, answer); });
}

std::string FormatModel(const InferenceService& service) {
  const ServedModel& model = service.model();
  std::string body = R"({"name":)";
  AppendJsonString(body, service.name());
  body += fmt::format(R"(,"versions":["{}"],"platform":"mlac","inputs":[{{"name":"text","datatype":"BYTES","shape":[-1]}},)", kVersion);
  body += R"({"name":"input_ids","datatype":"INT64","shape":[-1]},{"name":"lengths","datatype":"INT64","shape":[-1]}],"outputs":[)";
  for (const std::string_view name : OutputNames(model))
    if (name != "label") body += fmt::format(R"({{"name":"{}","datatype":"FP32","shape":[-1,{}]}})", name, model.output_size());
  if (model.is_classifier()) body += R"(,{"name":"label","datatype":"BYTES","shape":[-1]})";
  return body + "]}";
}

using ModelHandler = void (*)(const ModelSet::ServicePtr& service, HttpRequest request, HttpResponder responder);

// Adds "/v2/models/{model}" + end, and the same of a version.
void AddRoute(HttpRouter& router, const ModelSet& models, const char* method, const std::string& end, ModelHandler handle) {
  for (const char* version : {"", "/versions/{version}"})
    router.Add({.method = method,
                .pattern = fmt::format("/v2/models/{{model}}{}{}", version, end),
                .handler =
                    [&models, handle](HttpRequest request, HttpResponder responder) {
                      const ModelSet::ServicePtr service = FindModel(models, request.parameters[0]);
                      NameModel(*service, responder);
                      if (request.parameters.size() > 1 && request.parameters[1] != kVersion)
                        throw HttpError(404, "no such version of the model", "version", fmt::format("there is '{}'", kVersion));
                      handle(service, std::move(request), std::move(responder));
                    },
                .refusal_fields =
                    [&models](const HttpRequest& request) {
                      const ModelSet::ServicePtr service = models.Find(request.parameters[0]);
                      return service ? FieldsOf(*service) : std::vector<HttpField>();
                    }});
}

}  // namespace

HttpResponse FormatOpenInferenceError(const HttpError& error) {
  HttpResponse response;
  response.body = R"({"error":)";
  AppendJsonString(response.body, error.what());
  response.body += '}';
  return response;
}

void AddOpenInferenceRoutes(HttpRouter& router, const ModelSet& models) {
  router.Add({.method = "GET", .pattern = "/v2", .handler = [](HttpRequest, HttpResponder responder) {
                responder.Send(
                    {.body = fmt::format(R"({{"name":"mlac","version":"{}","extensions":["binary_tensor_data"]}})", kMlacVersion)});
              }});
  for (const char* health : {"/v2/health/live", "/v2/health/ready"})
    router.Add({.method = "GET",
                .pattern = health,
                .handler = [](HttpRequest, HttpResponder responder) { responder.Send({.content_type = "text/plain"}); },
                .open = true});
  AddRoute(router, models, "GET", "", [](const ModelSet::ServicePtr& service, HttpRequest, HttpResponder responder) {
    responder.Send({.body = FormatModel(*service)});
  });
  AddRoute(router, models, "GET", "/ready",
           [](const ModelSet::ServicePtr&, HttpRequest, HttpResponder responder) { responder.Send({.content_type = "text/plain"}); });
  AddRoute(router, models, "POST", "/infer", Infer);
}

}  // namespace mlac
