#pragma once
// Does what a plan says: runs its steps, keeps their results in the store, publishes what tests and gates let through.
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "project/plan.h"
#include "project/step.h"

namespace mlac {

struct ApplyOptions {
  size_t num_threads = 1;
  bool in_ci = false;    // a gate against production that has none to compare with is warned of: a store may not have survived
  bool reports = false;  // each model that is published is compared with production, else with latest before (apply_reports.h)
};

struct AppliedModel {
  std::string name;
  size_t num_steps = 0;          // that ran
  std::string revision;          // NAME@latest behind it, "" for none
  bool published = false;        // by this run
  std::string refused_by;        // the step that said no: "gate"; "" for none
  std::string refusal;           // with both figures and the interval
  std::vector<std::string> warnings;  // of gates, in CI
  std::optional<Error> failure;  // what ended its steps, or the report of what was published
  std::string report;            // the path of the report without its ending .html or .md; "" for none
  std::string markdown;          // of it
};

struct ApplyResult {
  std::vector<AppliedModel> models;  // those of the plan, in its order
  bool refused() const;
  bool failed() const;
  std::string Json() const;
  // For a pull request: what was published, beside production, what tests and gates refused, and what failed; "" if there is none of them.
  std::string Markdown() const;
};

// The lock under which a store is applied to: one at a time. Throws kResourceExhausted, saying who holds it.
class ApplyLock {
 public:
  explicit ApplyLock(const Store& store);

 private:
  FileLock lock_;
};

// Runs the plan. Whatever ends it, each result is there as a whole or not at all, and the next plan holds what is left; training goes on
// from its checkpoint. A model that a test or a gate refuses is not published. What a step of a model throws (kInvalidInput if a file
// changes while it is read) ends that model alone, as its `failure`; those behind it go on. A result that is needed and is not as it was
// written is taken away, with a note, and made again, though the plan does not say so; what planning that throws is the model's failure,
// too. Throws kCancelled once `stop` is true.
ApplyResult Apply(const ProjectConfig& project, const Plan& plan, const Store& store, const ApplyOptions& options, ApplyObserver& observer,
                  const std::atomic<bool>& stop);

}  // namespace mlac
