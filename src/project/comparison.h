#pragma once
// Two revisions of a model side by side: figures with intervals, what made them differ, what they answer, how fast they are.
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "hub/diff.h"
#include "hub/store.h"
#include "project/changed_rows.h"
#include "project/model_task.h"

namespace mlac {

struct ComparedModel {
  std::string title;  // "topics@0123456789"
  std::string revision;
  std::string made_from;      // one line: who, when, git commit
  TaskEvaluation evaluation;  // on the test data of the newer one
  uint64_t num_bytes = 0;     // ModelBytes
  TaskModel::Latency latency;
  std::string learning_curves, confusion_matrix;  // SVG, "" for none
};

struct FigureDifference {
  std::string name;  // "accuracy"
  double before = 0, after = 0;
  std::optional<Interval> interval = {};  // of the difference, where rows can be paired
  bool less_is_better = false;            // as of perplexity
};

struct Comparison {
  std::string name;
  std::optional<ComparedModel> before;
  ComparedModel after;
  size_t latency_tokens = 0;
  std::string test_source;                    // "test.csv"
  std::vector<FigureDifference> differences;  // empty without `before`
  RevisionDiff changes;                       // empty without `before`
  ChangedRows rows;                           // empty without `before`
  std::string refusal;                        // of a candidate: "refused by gate: accuracy >= 0.9: 0.8123"
  std::string not_compared;                   // why there is no `before` although one was given: a model of another task, or a damaged one
};

// What was trained, and not published.
struct RefusedModel {
  std::string path;  // the folder of the model
  const ModelConfig& config;
  ModelData data;
  std::string refusal;
};

// after: a revision that `mlac apply` published; its own test data is what both are measured on, now and on this machine. One before that
// cannot be measured on them is left out (not_compared): what is new has its report whatever was there. before: "" for
// none. Throws kUnsupported if the record of `after` names no test data, and what evaluating throws.
Comparison CompareRevisions(const Store& store, const std::string& name, const std::string& before, const std::string& after,
                            size_t num_threads, const std::atomic<bool>& stop);

// The same of a candidate, measured on data.test.
Comparison CompareCandidate(const Store& store, const std::string& name, const std::string& before, const RefusedModel& candidate,
                            size_t num_threads, const std::atomic<bool>& stop);

// What the record of `before` says otherwise than what the candidate was made from, and which files differ; no figures. name: whose record is meant.
RevisionDiff DiffWithCandidate(const Store& store, const std::string& name, const std::string& before, const RefusedModel& candidate);

// One page without outside references, readable narrow and wide, dark and light.
std::string ComparisonHtml(const Comparison& comparison);
// The same for a pull request, with fewer rows and without pictures. says_refusal: false where it stands above already.
std::string ComparisonMarkdown(const Comparison& comparison, bool says_refusal = true);

}  // namespace mlac
