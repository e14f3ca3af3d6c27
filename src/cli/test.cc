// mlac test: a model's own tests, for people and for CI.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/project_options.h"
#include "cli/terminal.h"
#include "project/test_model.h"

namespace mlac {
namespace {

struct TestCommand {
  std::string file = kProjectFile, reference, junit;
  bool generate = false, json = false, verbose = false;
  size_t num_threads = 1;
};

// The models to test: the one that was named, or all that have tests.
std::vector<std::string> References(const TestCommand& options, const ProjectConfig& project) {
  if (!options.reference.empty()) return {options.reference};
  std::vector<std::string> references;
  for (const ModelConfig& model : project.models)
    if (!model.tests.empty() || options.generate) references.push_back(model.name);
  if (references.empty())
    throw Error(ErrorCode::kNotFound, fmt::format("{}: no model has tests", options.file),
                "'mlac test NAME --generate' proposes some; 'tests: FILE' names them");
  return references;
}

void ShowCase(const TestCase& test, bool verbose) {
  if (test.status == TestCase::Status::kPassed && !verbose) return;
  const bool failed = test.status == TestCase::Status::kFailed;
  fmt::print(stderr, "{}  {}: {}{}{}\n",
             failed                                     ? Colored(Stream::kError, Color::kRed, "FAIL")
             : test.status == TestCase::Status::kPassed ? Colored(Stream::kError, Color::kGreen, "ok  ")
                                                        : "skip",
             test.group, test.name, test.message.empty() ? "" : ": ", test.message);
}

void Execute(const TestCommand& options) {
  const ProjectConfig project = ReadProject(options.file);
  const std::vector<std::string> references = References(options, project);
  if (!options.junit.empty() && references.size() > 1 && !options.generate)
    throw UsageError("--junit takes the report of one model: name it");
  const std::atomic<bool>& stop = CatchInterrupts();
  size_t num_failed = 0, num_tests = 0;
  for (const std::string& reference : references) {
    if (options.generate) {
      fmt::print("{}", ProposeTests(project, reference, options.num_threads, stop));
      continue;
    }
    const auto on_case = [&](const TestCase& test) {
      if (!options.json) ShowCase(test, options.verbose);
    };
    const TestedModel tested = TestModel(project, reference, {.num_threads = options.num_threads, .on_case = on_case}, stop);
    if (!options.junit.empty()) WriteFileAtomically(options.junit, tested.report.JUnit(tested.name));
    if (options.json) {
      fmt::print("{}", tested.report.Json());
    } else {
      fmt::print("{}@{}\n{}", tested.name, tested.revision.substr(0, 12), tested.report.Text(false));
    }
    num_failed += tested.report.Count(TestCase::Status::kFailed);
    num_tests += tested.report.cases.size();
  }
  if (num_failed > 0) throw Error(ErrorCode::kInvalidInput, fmt::format("{} of {} tests failed", num_failed, num_tests));
}

}  // namespace

void AddTest(CLI::App& app) {
  auto options = std::make_shared<TestCommand>();
  CLI::App& command =
      AddCommand(app, "test", "Run a model's own tests, and show what it answers otherwise than production",
                 "mlac test\nmlac test topics@production --junit report.xml\nmlac test topics --generate > tests/topics.yaml");
  command.add_option("model", options->reference, "NAME, NAME@ALIAS or NAME@REVISION; without it the latest of every model that has tests")
      ->type_name("NAME[@REV]");
  AddProjectFileOption(command, options->file);
  command.add_option("--junit", options->junit, "Write the report there as JUnit's XML, which CI systems show")->type_name("FILE");
  command.add_flag("--generate", options->generate, "Print tests that the model passes now, from its mix-ups and the test data");
  command.add_flag("--verbose", options->verbose, "Show the tests that passed, too");
  AddThreadsOption(command, options->num_threads);
  AddJsonFlag(command, options->json);
  command.callback([options] { Execute(*options); });
}

}  // namespace mlac
