// mlac run TASK: answers on standard output for texts from arguments, a file or standard input.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/store_access.h"
#include "cli/text_input.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

struct RunCommandOptions {
  std::string model;
  TextInputOptions input;
  TextModelOptions text_model;
  size_t max_length = 0;
  TaskOptions task;
  DtypeOptions dtype;
  bool json = false;
  std::string top_k;
};

constexpr size_t kTextsPerChunk = 256;

void Execute(const TaskInfo& info, RunCommandOptions options) {
  if (options.max_length > 0) options.text_model.max_length = options.max_length;
  options.text_model.dtype = options.dtype.Checked();
  options.task.format = options.json ? OutputFormat::kJson : OutputFormat::kText;
  const std::vector<std::string> texts = ReadTextInput(options.input);
  const ModelFolder given = FindModel(options.model);
  TextModel model(given.path, options.text_model);
  const std::unique_ptr<Task> task = info.make(options.task);
  std::string out;
  task->Begin(out);
  for (size_t begin = 0; begin < texts.size(); begin += kTextsPerChunk) {
    std::vector<TextInput> chunk;
    for (size_t i = begin; i < std::min(texts.size(), begin + kTextsPerChunk); ++i) chunk.push_back({texts[i], std::nullopt});
    task->Add(model, chunk, out);
    std::fwrite(out.data(), 1, out.size(), stdout);
    out.clear();
  }
  task->End(out);
  std::fwrite(out.data(), 1, out.size(), stdout);
  if (task->num_truncated() > 0)
    fmt::print(stderr, "{} of {} texts {} cut to {} tokens\n", task->num_truncated(), texts.size(), task->num_truncated() == 1 ? "was" : "were",
               model.max_length());
}

std::string ExampleOf(std::string_view task) {
  if (task == "feature-extraction") return "mlac run feature-extraction -m ./all-MiniLM-L6-v2 --file texts.txt --json";
  if (task == "sentence-similarity")
    return "mlac run sentence-similarity -m ./all-MiniLM-L6-v2 \"how do I reset my password\" \"I forgot my login\" \"nice weather\"";
  return "mlac run text-classification -m ./topics \"a large striped cat of the jungle\"\nmlac run text-classification -m ./topics --file in.csv --json";
}

void AddTask(CLI::App& run, const TaskInfo& info) {
  auto options = std::make_shared<RunCommandOptions>();
  CLI::App& command = AddCommand(run, std::string(info.name), std::string(info.description), ExampleOf(info.name));
  command.group("Tasks");
  AddModelOption(command, options->model);
  command.add_option("--max-length", options->max_length, "Tokens a text may have; else the model's own limit")->type_name("N");
  command.add_flag("--truncate", options->text_model.truncate, "Cut longer texts instead of refusing them");
  if (info.name == "feature-extraction") command.add_flag("--tokens", options->task.tokens, "One vector a token instead of one a text");
  if (info.name == "text-classification")
    command.add_option("--top-k", options->top_k, "The best K labels of each text, or 'all'")->type_name("K");
  AddDtypeOptions(command, options->dtype);
  AddThreadsOption(command, options->text_model.num_threads);
  AddJsonFlag(command, options->json);
  AddTextInput(command, options->input);
  command.callback([options, &info] {
    if (!options->top_k.empty()) {
      size_t k = 0;
      if (options->top_k != "all" && (!CLI::detail::lexical_cast(options->top_k, k) || k == 0))
        throw UsageError(fmt::format("--top-k is '{}'; expected a number from 1, or 'all'", options->top_k));
      options->task.top_k = k;
    }
    Execute(info, *options);
  });
}

}  // namespace

void AddRun(CLI::App& app) {
  CLI::App& command = AddCommand(app, "run", "Ask a model: embed, compare or classify texts", ExampleOf("sentence-similarity"));
  command.require_subcommand(1);
  for (const TaskInfo& info : AllTasks()) AddTask(command, info);
}

}  // namespace mlac
