// mlac test: a model's own tests, for people and for CI.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/project_options.h"
#include "cli/terminal.h"
#include "project/candidate.h"
#include "project/test_model.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

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

std::string Title(const TestedModel& tested) {
  return tested.revision.empty() ? fmt::format("{}@{}, which is not published", tested.name, kCandidate)
                                 : fmt::format("{}@{}", tested.name, tested.revision.substr(0, 12));
}

ordered_json AsJson(const TestedModel& tested) {
  ordered_json out = {{"name", tested.name}, {"revision", tested.revision.empty() ? ordered_json() : ordered_json(tested.revision)}};
  out.update(ParseOrderedJson(tested.report.Json(), "report"));
  return out;
}

// Of the model that was named its report, else a list.
std::string JsonOf(const TestCommand& options, const std::vector<TestedModel>& tested) {
  if (!options.reference.empty()) return DumpJson(AsJson(tested.front()), 2) + "\n";
  ordered_json list = ordered_json::array();
  for (const TestedModel& model : tested) list.push_back(AsJson(model));
  return DumpJson(ordered_json({{"format_version", 1}, {"models", std::move(list)}}), 2) + "\n";
}

void Execute(const TestCommand& options) {
  const ProjectConfig project = ReadProjectHere(options.file);
  const std::vector<std::string> references = References(options, project);
  const std::atomic<bool>& stop = CatchInterrupts();
  std::vector<TestedModel> tested;
  size_t num_failed = 0, num_tests = 0;
  for (const std::string& reference : references) {
    if (options.generate) {
      fmt::print("{}", ProposeTests(project, reference, options.num_threads, stop));
      continue;
    }
    const auto on_case = [&](const TestCase& test) {
      if (!options.json) ShowCase(test, options.verbose);
    };
    const TestedModel& model =
        tested.emplace_back(TestModel(project, reference, {.num_threads = options.num_threads, .on_case = on_case}, stop));
    // On a terminal ShowCase has printed the tests already, as they ended.
    if (!options.json) fmt::print("{}\n{}", Title(model), BothOnOneTerminal() ? model.report.Sum() : model.report.Text(false));
    if (model.report.cases.empty())
      fmt::print(stderr, "{}: its file holds no test; 'mlac test {} --generate' proposes some\n", model.name, reference);
    num_failed += model.report.Count(TestCase::Status::kFailed);
    num_tests += model.report.cases.size();
  }
  if (options.generate) return;
  if (options.json) fmt::print("{}", JsonOf(options, tested));
  if (!options.junit.empty()) {
    std::vector<std::pair<std::string, TestReport>> reports;
    for (TestedModel& model : tested) reports.emplace_back(model.name, std::move(model.report));
    WriteFileAtomically(options.junit, JUnitOf(reports));
  }
  if (num_failed > 0) throw Error(ErrorCode::kInvalidInput, fmt::format("{} of {} tests failed", num_failed, num_tests));
}

}  // namespace

void AddTest(Command app) {
  auto options = std::make_shared<TestCommand>();
  const Command command = app.AddCommand("test", "Run a model's own tests, and show what it answers otherwise than production",
                                         "mlac test\nmlac test topics@production --junit report.xml\nmlac test topics --generate > "
                                         "tests/topics.yaml\nmlac test topics@candidate    # what a gate or a test refused");
  command
      .AddOption("model", options->reference,
                 "NAME, NAME@ALIAS, NAME@REVISION or NAME@candidate: what apply made last; none: all that have tests")
      .Type("NAME[@REV]");
  AddProjectFileOption(command, options->file);
  command
      .AddOption("--junit", options->junit, "Write the report, of all models that are tested, there as JUnit's XML, which CI systems show")
      .Type("FILE");
  command.AddFlag("--generate", options->generate, "Print tests that the model passes now, from its mix-ups and the test data");
  command.AddFlag("--verbose", options->verbose, "Show the tests that passed, too");
  AddThreadsOption(command, options->num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
