#pragma once
// A task as the C API is asked for it: {"inputs", "parameters"}, in the forms of the HTTP API at "/".
#include <string_view>
#include <vector>

#include "pipelines/task.h"

namespace mlac {

struct TaskRequest {
  std::vector<TextInput> texts;  // at least one, each with its place ("inputs[3]")
  bool is_batch = false;         // whether the answer is a list of one for each text, or that of the one text
  TaskOptions options = {.format = OutputFormat::kJson};
};

// The task of this name. Throws kNotFound with the nearest one.
const TaskInfo& FindTask(std::string_view name);

// Throws kInvalidInput for what is no JSON, kInvalidArgument for a field that is missing, wrong or that the task does not have, naming it
// and, of one that is not known, the nearest that is.
TaskRequest ReadTaskRequest(std::string_view json, const TaskInfo& info);

// The options of mlac_open. Throws likewise; kUnsupported for bf16 on a processor that multiplies none, unless "allow_slow".
TextModelOptions ReadOpenOptions(std::string_view json);

}  // namespace mlac
