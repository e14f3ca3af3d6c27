// mlac run TASK: answers on standard output for texts from arguments, a file or standard input.
#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/joined_answers.h"
#include "cli/number_options.h"
#include "cli/progress.h"
#include "cli/store_access.h"
#include "cli/task_options.h"
#include "cli/terminal.h"
#include "cli/text_input.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

struct RunCommandOptions {
  std::string model, adapter, out;
  TextInputOptions input;
  TextModelOptions text_model;
  TaskCommandOptions task;
  DtypeOptions dtype;
  bool json = false;
};

// A chunk ends at so many texts, or so many bytes of them.
constexpr size_t kTextsPerChunk = 256, kBytesPerChunk = size_t{1} << 20;

struct Chunk {
  std::vector<TextInput> texts;
  std::vector<size_t> lines;  // TextSource::line() of each
};

// The next texts; none at the end. question: of question answering over arguments, which are its contexts.
Chunk NextChunk(TextSource& source, const std::string& question) {
  Chunk chunk;
  TextInput input;
  for (size_t num_bytes = 0; chunk.texts.size() < kTextsPerChunk && num_bytes < kBytesPerChunk && source.Next(input);) {
    if (!question.empty()) {
      input.pair = std::move(input.text);
      input.text = question;
    }
    num_bytes += input.text.size() + (input.pair ? input.pair->size() : 0);
    chunk.texts.push_back(std::move(input));
    chunk.lines.push_back(source.line());
  }
  return chunk;
}

// How far a file is read, where somebody looks at a terminal and the answers go elsewhere.
class ReadingProgress {
 public:
  // answers_elsewhere: they go to no terminal.
  explicit ReadingProgress(bool answers_elsewhere) {
    if (IsTerminal(Stream::kError) && answers_elsewhere) progress_.emplace("read, %:");
  }
  void Update(const TextSource& source) {
    if (const auto share = source.share_read(); progress_ && share)
      progress_->Update(static_cast<size_t>(*share * 100), 100, fmt::format("{} texts", source.num_read()));
  }

 private:
  std::optional<Progress> progress_;
};

void PrintAnswers(TextModel& model, Task& task, TextSource& source, const std::string& question) {
  ReadingProgress progress(!IsTerminal(Stream::kOut));
  std::string out;
  const auto print = [&out] {
    std::fwrite(out.data(), 1, out.size(), stdout);
    out.clear();
  };
  task.Begin(out);
  bool is_first = true;
  for (Chunk chunk = NextChunk(source, question); !chunk.texts.empty(); chunk = NextChunk(source, question)) {
    // The answers to the first chunk wait for a second one: where all texts are one, nothing is printed of what fails at its end. Those to
    // others do not, as whoever reads them, or a row that cannot be read, need not wait for what comes.
    if (!is_first) print();
    task.Add(model, chunk.texts, out);
    if (!std::exchange(is_first, false)) print();
    progress.Update(source);
  }
  task.End(out);
  print();
}

void JoinAnswers(TextModel& model, Task& task, TextSource& source, const std::string& question, JoinedAnswers& joined) {
  const std::atomic<bool>& stop = CatchInterrupts();  // so that no part of the file stays behind
  ReadingProgress progress(true);
  for (Chunk chunk = NextChunk(source, question); !chunk.texts.empty(); chunk = NextChunk(source, question)) {
    if (stop) throw Error(ErrorCode::kCancelled, "interrupted; nothing was written");
    std::vector<TextInput> asked;
    for (const TextInput& text : chunk.texts)
      if (!joined.IsWithoutText(text)) asked.push_back(text);
    std::string answers;
    if (!asked.empty()) task.Add(model, asked, answers);
    joined.Add(chunk.texts, chunk.lines, answers);
    progress.Update(source);
  }
  joined.Commit();
}

void Execute(Command command, const TaskInfo& info, RunCommandOptions options) {
  CheckColumnsHaveFile(command, options.input);
  options.text_model.dtype = options.dtype.Checked();
  if (options.json && !options.out.empty()) throw UsageError("--json and --out were given", "one of the two");
  options.task.task.format = options.json || !options.out.empty() ? OutputFormat::kJson : OutputFormat::kText;
  options.task.task.counted_labels = !options.out.empty();
  options.task.Resolve(command, info, options.input);
  TextSource source(options.input);
  const std::unique_ptr<Task> task = info.make(options.task.task);
  std::optional<JoinedAnswers> joined;
  if (!options.out.empty()) joined.emplace(options.out, info, options.input);
  const ModelFolder given = FindModel(options.model), adapter = FindAdapter(options.adapter);
  options.text_model.adapter = adapter.path;
  TextModel model(given.path, options.text_model);
  if (joined) {
    JoinAnswers(model, *task, source, options.task.question, *joined);
  } else {
    PrintAnswers(model, *task, source, options.task.question);
  }
  if (task->num_truncated() > 0)
    fmt::print(stderr, "{} of {} texts {} cut to {} tokens\n", task->num_truncated(), source.num_read(), task->num_truncated() == 1 ? "was" : "were",
               model.max_length());
  if (!joined) return;
  if (const std::string remark = joined->RemarkOnBlankRows(); !remark.empty()) fmt::print(stderr, "{}\n", remark);
  fmt::print(stderr, "{}: {} {}\n", options.out, joined->num_rows(), joined->num_rows() == 1 ? "row" : "rows");
}

void AddTask(Command run, const TaskInfo& info) {
  auto options = std::make_shared<RunCommandOptions>();
  const Command command = run.AddCommand(std::string(info.name), std::string(info.description), ExampleOf(info.name));
  command.Group("Tasks");
  AddModelOption(command, options->model);
  AddAdapterOption(command, options->adapter);
  AddTaskOptions(command, info, options->task, options->input);
  WholeNumber(command.AddOption("--max-length", options->text_model.max_length, "Tokens a text may have; else the model's own limit")
                  .Type("N"),
              1);
  command.AddFlag("--truncate", options->text_model.truncate, "Cut longer texts instead of refusing them");
  AddDtypeOptions(command, options->dtype);
  AddThreadsOption(command, options->text_model.num_threads);
  AddJsonFlag(command, options->json);
  if (AnswersEachText(info))
    command
        .AddOption("--out", options->out,
                   info.name == "text-classification" ? "Write each row of the input with its label and score: .csv, .tsv or .jsonl"
                                                       : "Write each row of the input with its answer: .jsonl")
        .Type("FILE");
  AddTextInput(command, options->input);
  command.OnRun([options, command, &info] { Execute(command, info, *options); });
}

}  // namespace

void AddRun(Command app) {
  const Command command = app.AddCommand("run", "Ask a model: embed, compare, classify, search, answer", ExampleOf("sentence-similarity"));
  command.RequireSubcommand();
  for (const TaskInfo& info : AllTasks()) AddTask(command, info);
}

}  // namespace mlac
