// mlac init: the first mlac.yaml, from a look at the data.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "hub/aliases.h"
#include "project/config.h"
#include "project/draft.h"
#include "project/draft_ci.h"
#include "train/fine_tune.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

constexpr char kIgnoreFile[] = ".gitignore", kIgnored[] = ".mlac/";

// git must not take the store: a line for it, unless there is one.
bool IgnoreStore() {
  constexpr size_t kMostBytes = 1 << 20;
  std::string content = FileExists(kIgnoreFile) ? ReadFile(kIgnoreFile, kMostBytes) : "";
  if (("\n" + content + "\n").find(std::string("\n") + kIgnored + "\n") != std::string::npos) return false;
  if (!content.empty() && !content.ends_with('\n')) content += '\n';
  WriteFileAtomically(kIgnoreFile, content + kIgnored + "\n");
  return true;
}

// "texts in 'premise' and 'hypothesis'".
std::string TextsOf(const Draft& draft) {
  const std::string pair = draft.text_pair_column.empty() ? "" : fmt::format(" and '{}'", Printable(draft.text_pair_column));
  return fmt::format("texts in '{}'{}", Printable(draft.text_column), pair);
}

// As mlac.yaml is to name it: relative where it lies in this folder, so that a clone elsewhere finds it. What lies outside stays as it is.
std::string PathInProject(const std::string& given) {
  const fs::path path = fs::path(given).lexically_normal();
  if (given.empty() || path.is_relative()) return given;
  const fs::path whole = path.has_filename() ? path : path.parent_path();
  // The folder that it is in, without links; not what it may itself be a link to.
  const fs::path relative = (fs::weakly_canonical(whole.parent_path()) / whole.filename()).lexically_relative(fs::current_path());
  return relative.empty() || *relative.begin() == ".." ? given : relative.string();
}

bool LiesOutside(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  return !path.empty() && (normal.is_absolute() || *normal.begin() == "..");
}

// All of them or none.
void WriteDraft(const Draft& draft) {
  for (const auto& [path, content] : draft.files)
    if (fs::exists(fs::symlink_status(path)))
      throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: exists already", path),
                  "move it away, or edit it: 'mlac help --mlac-yaml' has all keys; 'mlac init --ci' without --data writes a pipeline alone");
  for (const auto& [path, content] : draft.files) {
    if (fs::path(path).has_parent_path()) fs::create_directories(fs::path(path).parent_path());
    WriteFileAtomically(path, content);
    fmt::print("wrote {}\n", path);
  }
}

void PrintCiNeeds(const Draft& draft, const std::string& ci) {
  if (draft.ci_needs.empty()) return;
  fmt::print("CI still needs (look for FILL IN in {}):\n", CiPath(ci));
  for (const std::string& need : draft.ci_needs) fmt::print("  {}\n", need);
}

// Into a repository that has an mlac.yaml.
void WritePipeline(const std::string& ci) {
  const Draft draft = DraftPipeline(ReadProject(kProjectFile), ci);
  WriteDraft(draft);
  PrintCiNeeds(draft, ci);
}

void Execute(DraftOptions options) {
  if (options.train.empty()) {
    if (!options.ci.empty() && FileExists(kProjectFile)) return WritePipeline(options.ci);
    throw UsageError("which data?", options.ci.empty() ? "--data FILE names what to learn from"
                                                       : "--data FILE names what to learn from; where there is an mlac.yaml, --ci needs none");
  }
  for (std::string* path : {&options.train, &options.test, &options.base}) *path = PathInProject(*path);
  const Draft draft = DraftProject(options);
  WriteDraft(draft);
  if (IgnoreStore()) fmt::print("wrote {}: git leaves {} alone\n", kIgnoreFile, kIgnored);
  if (draft.num_labels > 0) {
    fmt::print("{}: {}, {} labels{} in '{}'\n", options.train, TextsOf(draft), draft.num_labels,
               draft.problem_type == ProblemType::kMultiLabel ? ", several a text," : "", Printable(draft.target_column));
  } else if (draft.problem_type == ProblemType::kRegression) {
    fmt::print("{}: {}, numbers in '{}'\n", options.train, TextsOf(draft), Printable(draft.target_column));
  } else {
    fmt::print("{}: {} rows for {}\n", options.train, draft.num_rows, draft.task);
  }
  if (!fs::exists(options.base) && !IsReference(options.base))
    fmt::print("{} is not there yet: put the model to start from there, or name another in mlac.yaml\n", options.base);
  for (const std::string& path : {options.train, options.test, options.base})
    if (LiesOutside(path)) fmt::print("{} is outside this folder: a clone on another machine will not find it there\n", path);
  PrintCiNeeds(draft, options.ci);
  fmt::print("next: mlac plan\n");
}

}  // namespace

void AddInit(Command app) {
  auto options = std::make_shared<DraftOptions>();
  const Command command = app.AddCommand("init", "Write mlac.yaml and tests from a look at the data, each line explained",
                                         "mlac init --name topics --data data/train.csv --test data/test.csv -m models/minilm\n"
                                         "mlac init --ci github    # the pipeline alone, where there is an mlac.yaml");
  command
      .AddOption("--data", options->train, "What to learn from: CSV, TSV, JSONL, a folder of texts a label, or what another task takes")
      .Type("FILE");
  command.AddOption("--task", options->task, "What the model is for; else what the data look like")
      .Type("TASK")
      .OneOfDescribed(FineTuneTaskNames());
  command.AddOption("--test", options->test, "Texts to measure on; without them a part of --data is set aside").Type("FILE");
  command.AddOption("--name", options->name, "The name of the model").Type("NAME").ShowDefault();
  command.AddOption("-m,--model", options->base, "The model to start from: a folder, or NAME@ALIAS of the store").Type("DIR").ShowDefault();
  command.AddOption("--text-column", options->text_column, "The column of texts; else it is guessed").Type("NAME");
  command.AddOption("--text-pair-column", options->text_pair_column, "The column of second texts; else usual names are looked for")
      .Type("NAME");
  command.AddOption("--target-column", options->target_column, "The column of labels; else it is guessed").Type("NAME");
  command.AddOption("--ci", options->ci, "Write a CI pipeline, too, that plans on a pull request and applies on the main branch")
      .OneOf({"github", "gitlab"});
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
