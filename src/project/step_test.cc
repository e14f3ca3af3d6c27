// test: the model's own tests. A model that fails one is not published.
#include "project/step.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "project/run_model_tests.h"
#include "project/slice_rows.h"
#include "project/step_data.h"

namespace mlac {
namespace {

// What slices look at must be in the test data.
void CheckTestColumns(const StepScope& scope, const ModelTests& tests) {
  if (tests.Columns().empty()) return;
  const ModelData columns = ColumnsOf(scope.model);
  if (!scope.Has("split")) {
    const std::string path = scope.project.Path(scope.model.data.test);
    return CheckSliceColumns(tests, scope.model.data.test, SliceColumnsOf(path, columns));
  }
  std::vector<std::string> there = FilterColumns(scope.model);  // what a split keeps
  if (TaskOf(scope.model).name == "text-classification") {
    there.insert(there.end(), {columns.text_column, columns.target_column});
    if (!columns.text_pair_column.empty()) there.push_back(columns.text_pair_column);
  }
  CheckSliceColumns(tests, "what data.split makes (it keeps columns that data.filter names)", there);
}

void CheckLatencies(const StepScope& scope, const ModelTests& tests) {
  const size_t most = tests.latencies.empty() ? 0 : scope.MaxTokens();
  for (const LatencyTest& test : tests.latencies)
    if (most > 0 && test.num_tokens > most)
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: latency: {} tokens; the base model takes {} at most", tests.file, test.num_tokens, most));
}

StepDescription DescribeTest(const StepScope& scope) {
  StepDescription step = {{scope.Model()}, {}};
  const StepInput file = scope.File("tests", scope.model.tests);  // throws with the key if it is not there
  const ModelTests tests = ReadModelTests(scope.project.Path(scope.model.tests), scope.model.tests);
  CheckTestKinds(tests, TaskOf(scope.model), ColumnsOf(scope.model));
  CheckTestColumns(scope, tests);
  CheckLatencies(scope, tests);
  step.inputs.push_back({"tests", StepInput::Kind::kFile, tests.hash, file.shown});  // comments are not in it
  for (StepInput& input : scope.TestData()) step.inputs.push_back(std::move(input));
  for (StepInput& column : scope.Columns()) step.inputs.push_back(std::move(column));
  if (tests.measures_machine()) step.until_published.push_back(scope.Parameter("processor", ProcessorName()));
  return step;
}

void ExecuteTest(StepRun& run) {
  const ModelTests tests = ReadModelTests(run.project.Path(run.model.tests), run.model.tests);
  const auto on_case = [&](const TestCase& test) {
    if (test.status != TestCase::Status::kPassed)
      run.observer.OnNote(
          fmt::format("{}  {}: {}: {}", test.status == TestCase::Status::kFailed ? "FAIL" : "skip", test.group, test.name, test.message));
  };
  const TestReport report = RunModelTests(
      tests,
      {.task = TaskOf(run.model), .folder = run.ModelFolder(), .data = run.Data(), .compared_with = "", .num_threads = run.num_threads},
      on_case, run.stop);
  run.result = report.Json();
  run.summary = report.cases.empty()
                    ? fmt::format("there is no test in {}", run.model.tests)
                    : fmt::format("{} passed, {} failed", report.Count(TestCase::Status::kPassed), report.Count(TestCase::Status::kFailed));
  for (const TestCase& test : report.cases)
    if (test.status == TestCase::Status::kFailed && run.refusal.empty())
      run.refusal = fmt::format("{} of {} tests failed; {}: {}: {}", report.Count(TestCase::Status::kFailed), report.cases.size(),
                                test.group, test.name, test.message);
}

}  // namespace

const StepKind kTestStep = {
    "test", "runs the model's own tests", false, [](const ModelConfig& model) { return !model.tests.empty(); }, DescribeTest, ExecuteTest};

}  // namespace mlac
