#pragma once
// The tests of a revision in the store, and tests that are proposed for it.
#include <functional>
#include <string>
#include <string_view>

#include "hub/store.h"
#include "project/config.h"
#include "project/run_model_tests.h"

namespace mlac {

struct TestModelOptions {
  size_t num_threads = 1;
  std::function<void(const TestCase&)> on_case = [](const TestCase&) {};
};

struct TestedModel {
  std::string name;
  std::string revision;  // "" for a candidate
  TestReport report;     // compared with production, if there is one and it is another revision
};

// reference: NAME for NAME@latest, NAME@ALIAS or NAME@REVISION, NAME@candidate (candidate.h); NAME is the candidate, too, as long as nothing
// of the name is published. NAME must be a model of the project that has tests.
// Throws kNotFound for a model, revision or test data that is not there, and what RunModelTests throws.
TestedModel TestModel(const ProjectConfig& project, const std::string& reference, const TestModelOptions& options,
                      const std::atomic<bool>& stop);

// A file of tests that this revision passes today, as YAML with comments: an example a label, the labels that are mixed up most, short and
// long texts, typos and case.
std::string ProposeTests(const ProjectConfig& project, const std::string& reference, size_t num_threads, const std::atomic<bool>& stop);

// Where the data of a model is now; that which steps make must have been made. Throws kNotFound otherwise.
ModelData CurrentData(const ProjectConfig& project, const ModelConfig& model, const Store& store);

}  // namespace mlac
