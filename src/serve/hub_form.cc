#include "serve/hub_form.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <iterator>

#include "serve/json_reader.h"
#include "serve/text_options.h"

namespace mlac {
namespace {

struct HubTask {
  std::string_view task;
  void (*handle)(ModelCall call, HttpResponder responder);
};

constexpr HubTask kTasks[] = {
    {"feature-extraction", HubFeatureExtraction},
    {"sentence-similarity", HubSentenceSimilarity},
    {"text-classification", HubTextClassification},
    {"zero-shot-classification", HubZeroShotClassification},
    {"text-ranking", HubTextRanking},
    {"token-classification", HubTokenClassification},
    {"question-answering", HubQuestionAnswering},
    {"fill-mask", HubFillMask},
};

// Names that a body has for one task alone, with the field that they stand in.
struct TaskName {
  std::string_view name, field, task;
};

constexpr TaskName kTaskNames[] = {
    {"query", "", "text-ranking"},
    {"source_sentence", "inputs", "sentence-similarity"},
    {"question", "inputs", "question-answering"},
    {"candidate_labels", "parameters", "zero-shot-classification"},
};

// Whether the name stands anywhere in the body. Not by std::string::find, which stops at each quote: 12 ms for 2 MB of quotes.
bool MayHaveName(const std::string& body, std::string_view name) {
  const std::string quoted = fmt::format("\"{}\"", name);
  return memmem(body.data(), body.size(), quoted.data(), quoted.size()) != nullptr;
}

// The task that the form of the body asks for, "" where that is the model's first.
std::string_view TaskOfForm(const std::string& body) {
  const auto has = [&](const TaskName& entry) { return MayHaveName(body, entry.name); };
  std::string_view task;
  if (std::none_of(std::begin(kTaskNames), std::end(kTaskNames), has)) return task;  // most bodies are not read twice
  const auto look = [&](std::string_view name, std::string_view field) {
    for (const TaskName& entry : kTaskNames)
      if (name == entry.name && field == entry.field) task = entry.task;
  };
  JsonReader(body, kHubFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    look(name, "");
    if (value.kind() == JsonValue::Kind::kObject) value.ForEachField([&](std::string_view inner, JsonValue&) { look(inner, name); });
  });
  return task;
}

void Handle(const ModelSet& models, ModelCall call, HttpResponder responder) {
  const ServedModel& model = call.service->model();
  std::string_view task = TaskOfForm(call.http.body);
  if (!task.empty() && !Does(model, task))
    throw HttpError(kHubFieldStatus,
                    fmt::format("the model '{}' does not do {}, which the form of the body asks for", call.service->name(), task), "",
                    WhoDoes(models, *call.service, task))
        .Because("no_task");
  if (task.empty()) task = model.tasks().front();
  for (const HubTask& known : kTasks)
    if (known.task == task) return known.handle(std::move(call), std::move(responder));
  throw HttpError(kHubFieldStatus, fmt::format("the model '{}' does {}, which this route does not answer", call.service->name(), task))
      .Because("no_task");
}

// Of several models, one that does what the form of the body asks for.
void PeekTask(const std::string& body, std::string&, std::string_view& task) { task = TaskOfForm(body); }

}  // namespace

bool HasName(const std::string& body, std::string_view name) {
  if (!MayHaveName(body, name)) return false;  // most bodies are not read twice
  bool has = false;
  JsonReader(body, kHubFieldStatus).ReadObject([&](std::string_view found, JsonValue&) { has |= found == name; });
  return has;
}

void AddHubRoutes(HttpRouter& router, const ModelSet& models) {
  for (const char* pattern : {"/", "/invocations"})
    AddModelRoute(router, models,
                  {.pattern = pattern,
                   .handler = [&models](ModelCall call, HttpResponder responder) { Handle(models, std::move(call), std::move(responder)); },
                   .peek = PeekTask});
}

}  // namespace mlac
