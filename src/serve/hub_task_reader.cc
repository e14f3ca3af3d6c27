#include "serve/hub_task_reader.h"

#include <fmt/format.h>

#include "serve/text_options.h"

namespace mlac {

HubTaskBody ReadHubTask(std::string body, const InferenceService& service,
                        Inputs (*read_inputs)(JsonValue& value, const InputLimits& limits),
                        const std::function<void(std::string_view name, JsonValue& value, TaskOptions& options)>& read_parameter) {
  HubTaskBody result;
  Inputs inputs;
  JsonReader(std::move(body), kHubFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "inputs") inputs = read_inputs(value, HubLimits(service));
    if (name != "parameters" || value.kind() == JsonValue::Kind::kNull) return;
    value.ForEachField([&](std::string_view parameter, JsonValue& setting) {
      if (setting.kind() != JsonValue::Kind::kNull) read_parameter(parameter, setting, result.options);
    });
  });
  if (inputs.inputs.empty()) throw MissingField("inputs");
  result.is_batch = inputs.is_batch;
  result.texts = ToTexts(std::move(inputs));
  return result;
}

void AnswerHubTask(ModelCall call, HubTaskBody body, std::unique_ptr<SequenceTask> (*make)(const TaskOptions& options), HttpResponder responder) {
  TaskRequest request = {.task = nullptr, .texts = std::move(body.texts), .is_batch = body.is_batch, .field_status = kHubFieldStatus};
  body.options.max_windows = call.service->options().max_client_batch_size;
  try {
    request.task = make(body.options);
  } catch (const Error& error) {
    throw HttpError(kHubFieldStatus, fmt::format("'parameters': {}", error.message()), "parameters");
  }
  call.service->Answer(std::move(call.slot), std::move(request), std::move(responder));
}

std::vector<std::string> ReadStrings(JsonValue& value, const InputLimits& limits) {
  std::vector<std::string> strings;
  value.ForEachItem([&](JsonValue& item) {
    if (strings.size() == limits.max_inputs)
      throw HttpError(limits.too_many_status, fmt::format("'{}' has more than {} texts", value.path(), limits.max_inputs), value.path());
    strings.push_back(item.String());
    if (strings.back().empty()) throw HttpError(400, fmt::format("'{}' cannot be empty", item.path()), item.path());
  });
  return strings;
}

}  // namespace mlac
