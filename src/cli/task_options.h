#pragma once
// What `mlac run TASK` can be told besides model and texts: the options of each task.
#include <string>

#include "cli/text_input.h"
#include "pipelines/task.h"

namespace mlac {

// As they are typed; Resolve() puts them into TaskOptions and TextInputOptions.
struct TaskCommandOptions {
  TaskOptions task;
  std::string top_k, aggregation, function, labels, targets, ignore_labels, question, question_column = "question", context_column = "context";
  bool no_align = false;

  // Throws UsageError for values that cannot be read and for options that exclude each other.
  void Resolve(Command command, const TaskInfo& info, TextInputOptions& input);
};

// Declares the options of this task.
void AddTaskOptions(Command command, const TaskInfo& info, TaskCommandOptions& options, TextInputOptions& input);

// A command line to begin with.
std::string ExampleOf(std::string_view task);

}  // namespace mlac
