#pragma once
// Runs the tests of a model, as a test runner does.
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "project/changed_rows.h"
#include "project/model_task.h"
#include "project/model_tests.h"

namespace mlac {

struct TestCase {
  enum class Status { kPassed, kFailed, kSkipped };
  std::string group;  // "examples", "slices"
  std::string name;
  Status status = Status::kPassed;
  std::string message;  // what was found: of a test that passed too, where it is a figure
  double seconds = 0;
};

// Whether a change of a text has left what a model answers. within: of numbers, how far they may move.
bool SameMeaning(const Prediction& a, const Prediction& b, const std::optional<double>& within);

struct TestReport {
  std::vector<TestCase> cases;
  std::vector<ChangedRow> changed;       // those that got better, then those that got worse, then the others
  bool compared = false;                 // with another model
  size_t num_better = 0, num_worse = 0;  // of `changed`: right now and wrong before; and the other way round
  std::string not_compared = {};         // why not, where there was another model: it does something else

  size_t Count(TestCase::Status status) const;
  bool failed() const { return Count(TestCase::Status::kFailed) > 0; }
  // For people, without colours: a line a test that failed or was skipped, then the sum; verbose: all tests.
  std::string Text(bool verbose) const;
  std::string Sum() const;  // what Text ends with: the rows that are answered otherwise, and how many tests passed
  std::string Json() const;
};

// As JUnit's XML, which CI systems read: one suite a group of tests of each model. reports: by the names of the models.
std::string JUnitOf(const std::vector<std::pair<std::string, TestReport>>& reports);

struct TestSubject {
  const ModelTask& task;
  std::string folder;         // of the model
  ModelData data;             // test and its columns
  std::string compared_with;  // a folder, or "" for none
  size_t num_threads = 1;
};

// Throws kInvalidInput for a kind of test, a key or a figure that the task does not have, with what it has. columns: of the model's data.
// check_model_tests.cc
void CheckTestKinds(const ModelTests& tests, const ModelTask& task, const ModelData& columns);

// on_case: told of each test as it ends; one that this model cannot be asked (of a label that it does not have) is one that fails. Throws
// as CheckTestKinds and SliceRows, and what opening model and data throws.
TestReport RunModelTests(const ModelTests& tests, const TestSubject& subject, const std::function<void(const TestCase&)>& on_case,
                         const std::atomic<bool>& stop);

}  // namespace mlac
