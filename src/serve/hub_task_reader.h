#pragma once
// Bodies of tasks in two halves (TaskRequest): {"inputs": texts, "parameters": {...}}.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/sequence_task.h"
#include "serve/inputs.h"
#include "serve/json_reader.h"
#include "serve/model_routes.h"

namespace mlac {

struct HubTaskBody {
  std::vector<TextInput> texts;
  bool is_batch = false;
  TaskOptions options = {.format = OutputFormat::kJson};
};

// read_inputs: how the field "inputs" is read; read_parameter: what to do with each of "parameters" that is not null.
HubTaskBody ReadHubTask(std::string body, const InferenceService& service,
                        Inputs (*read_inputs)(JsonValue& value, const InputLimits& limits),
                        const std::function<void(std::string_view name, JsonValue& value, TaskOptions& options)>& read_parameter);

// Has the task answer.
void AnswerHubTask(ModelCall call, HubTaskBody body, std::unique_ptr<SequenceTask> (*make)(const TaskOptions& options), HttpResponder responder);

// A list of texts, none empty, as many as a request may have inputs.
std::vector<std::string> ReadStrings(JsonValue& value, const InputLimits& limits);

}  // namespace mlac
