#include "serve/hub_form.h"

#include <fmt/format.h>

#include "serve/json_reader.h"
#include "serve/text_options.h"

namespace mlac {
namespace {

// What answers {"inputs", "parameters"} for a model whose first task this is.
struct HubTask {
  std::string_view task;
  void (*handle)(ModelCall call, HttpResponder responder);
};

constexpr HubTask kTasks[] = {
    {"feature-extraction", HubFeatureExtraction},
    {"text-classification", HubTextClassification},
    {"token-classification", HubTokenClassification},
    {"question-answering", HubQuestionAnswering},
    {"fill-mask", HubFillMask},
};

// Requests whose form alone says what they ask for go to a model that does it.
void PeekTask(const std::string& body, std::string&, std::string_view& task) {
  JsonReader(body, kHubFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "query") task = "text-ranking";
    if ((name != "inputs" && name != "parameters") || value.kind() != JsonValue::Kind::kObject) return;
    value.ForEachField([&](std::string_view field, JsonValue&) {
      if (field == "source_sentence") task = "sentence-similarity";
      if (field == "question") task = "question-answering";
      if (field == "candidate_labels") task = "zero-shot-classification";
    });
  });
}

// Whether a classifier is asked for labels of the client's own.
bool HasCandidateLabels(const std::string& body) {
  if (body.find("\"candidate_labels\"") == std::string::npos) return false;
  std::string model;
  std::string_view task;
  PeekTask(body, model, task);
  return task == "zero-shot-classification";
}

void Handle(ModelCall call, HttpResponder responder) {
  const ServedModel& model = call.service->model();
  if (HasName(call.http.body, "query")) {
    if (!Does(model, "text-ranking"))
      throw HttpError(kHubFieldStatus, "the model does not do text-ranking, which 'query' and 'texts' ask for", "query",
                      "it takes 'inputs'");
    return HubTextRanking(std::move(call), std::move(responder));
  }
  if (HasCandidateLabels(call.http.body)) {
    if (!Does(model, "zero-shot-classification"))
      throw HttpError(kHubFieldStatus, "the model does not do zero-shot-classification, which 'parameters.candidate_labels' ask for",
                      "parameters.candidate_labels", "that takes a model of natural language inference");
    return HubZeroShotClassification(std::move(call), std::move(responder));
  }
  for (const HubTask& task : kTasks)
    if (task.task == model.tasks().front()) return task.handle(std::move(call), std::move(responder));
  throw HttpError(kHubFieldStatus, fmt::format("the model does {}, which this route does not answer", model.tasks().front()));
}

}  // namespace

bool HasName(const std::string& body, std::string_view name) {
  if (body.find(fmt::format("\"{}\"", name)) == std::string::npos) return false;  // most bodies are not read twice
  bool has = false;
  JsonReader(body, kHubFieldStatus).ReadObject([&](std::string_view found, JsonValue&) { has |= found == name; });
  return has;
}

void AddHubRoutes(HttpRouter& router, const ModelSet& models) {
  for (const char* pattern : {"/", "/invocations"})
    AddModelRoute(router, models, {.pattern = pattern, .handler = Handle, .peek = PeekTask});
}

}  // namespace mlac
