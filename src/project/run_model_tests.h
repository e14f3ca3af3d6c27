#pragma once
// Runs the tests of a model, as a test runner does.
#include <atomic>
#include <functional>
#include <string>
#include <vector>

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

// A row of the test data that is answered otherwise than by the model it is compared with.
struct ChangedRow {
  std::string place;  // "test.csv line 7"
  std::string text, truth, before, after;
};

// Rows that two models answer differently, by what became of them.
struct ChangedRows {
  std::vector<ChangedRow> better, worse, otherwise;  // otherwise: wrong both times

  // Adds the row if the answers differ and it says what is right.
  void Add(const ModelTask& task, const TestRow& row, const std::string& before, const std::string& after);
};

struct TestReport {
  std::vector<TestCase> cases;
  std::vector<ChangedRow> changed;       // those that got better, then those that got worse, then the others
  bool compared = false;                 // with another model
  size_t num_better = 0, num_worse = 0;  // of `changed`: right now and wrong before; and the other way round

  size_t Count(TestCase::Status status) const;
  bool failed() const { return Count(TestCase::Status::kFailed) > 0; }
  // For people, without colours: a line a test that failed or was skipped, then the sum; verbose: all tests.
  std::string Text(bool verbose) const;
  std::string Json() const;
  // As JUnit's XML, which CI systems read: one suite a group. suite: "topics".
  std::string JUnit(const std::string& suite) const;
};

struct TestSubject {
  const ModelTask& task;
  std::string folder;         // of the model
  ModelData data;             // test and its columns
  std::string compared_with;  // a folder, or "" for none
  size_t num_threads = 1;
};

// Throws kInvalidInput for a kind of test that the task does not have, with those that it has.
void CheckTestKinds(const ModelTests& tests, const ModelTask& task);

// on_case: told of each test as it ends. Throws kNotFound for a column or label that does not exist, and what opening model and data
// throws.
TestReport RunModelTests(const ModelTests& tests, const TestSubject& subject, const std::function<void(const TestCase&)>& on_case,
                         const std::atomic<bool>& stop);

}  // namespace mlac
