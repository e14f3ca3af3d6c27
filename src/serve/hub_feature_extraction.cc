// feature-extraction and sentence-similarity in Hugging Face's form.
#include <fmt/format.h>

#include "serve/answers.h"
#include "serve/hub_form.h"
#include "serve/json_reader.h"
#include "serve/text_options.h"

namespace mlac {
namespace {

using Kind = JsonValue::Kind;

// {"source_sentence", "sentences"}: the source first.
std::vector<InferenceInput> ReadSentences(JsonValue& value, const InputLimits& limits) {
  std::string source;
  std::vector<InferenceInput> inputs(1);
  const auto read_text = [](JsonValue& text) {
    std::string read = text.String();
    if (read.empty()) throw HttpError(400, fmt::format("'{}' cannot be empty", text.path()), text.path());
    return read;
  };
  value.ForEachField([&](std::string_view name, JsonValue& field) {
    if (name == "source_sentence") source = read_text(field);
    if (name != "sentences") return;
    field.ForEachItem([&](JsonValue& item) {
      if (inputs.size() > limits.max_inputs)
        throw HttpError(limits.too_many_status, fmt::format("'{}' has more than {} inputs", field.path(), limits.max_inputs), field.path());
      inputs.emplace_back(read_text(item));
    });
  });
  if (source.empty()) throw MissingField("inputs.source_sentence");
  if (inputs.size() == 1) throw HttpError(400, "'inputs.sentences' cannot be empty", "inputs.sentences");
  inputs[0] = std::move(source);
  return inputs;
}

struct HubRequest {
  Inputs inputs;
  bool compares = false;  // inputs are a sentence and those that it is compared with
  TextOptions options;
};

HubRequest Read(std::string body, const InferenceService& service, bool takes_texts) {
  HubRequest request;
  const auto read_option = [&](std::string_view name, JsonValue& value) {
    ReadTextOption(name, value, service.model(), request.options);
    if (name == "encoding_format" && value.kind() != Kind::kNull) value.Choice({"float"});
  };
  JsonReader(std::move(body), kHubFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "parameters" && value.kind() != Kind::kNull) return value.ForEachField(read_option);
    if (name != "inputs") return read_option(name, value);
    request.compares = value.kind() == Kind::kObject || !takes_texts;
    if (request.compares) {
      request.inputs = {.inputs = ReadSentences(value, HubLimits(service)), .is_batch = true};
    } else {
      request.inputs = ReadInputs(value, HubLimits(service));
    }
  });
  if (request.inputs.inputs.empty()) throw MissingField("inputs");
  return request;
}

void Handle(ModelCall call, HttpResponder responder, bool takes_texts) {
  InferenceService& service = *call.service;
  HubRequest request = Read(std::move(call.http.body), service, takes_texts);
  InferenceRequest inference = ToInference(std::move(request.inputs), request.options, service);
  if (request.compares)
    inference.name_input = [](size_t index) {
      return index == 0 ? std::string("inputs.source_sentence") : fmt::format("inputs.sentences[{}]", index - 1);
    };
  // As the folder wants its vectors, and `mlac run` gives them.
  const bool normalize = request.options.normalize.value_or(service.model().normalizes());
  service.Infer(std::move(call.slot), std::move(inference), std::move(responder),
                [normalize, compares = request.compares, dimensions = request.options.dimensions](const InferenceAnswer& answer) {
                  return compares ? FormatSimilarities(answer, normalize) : FormatVectors(answer, normalize, dimensions);
                });
}

}  // namespace

void HubFeatureExtraction(ModelCall call, HttpResponder responder) { Handle(std::move(call), std::move(responder), /*takes_texts=*/true); }
void HubSentenceSimilarity(ModelCall call, HttpResponder responder) {
  Handle(std::move(call), std::move(responder), /*takes_texts=*/false);
}

}  // namespace mlac
