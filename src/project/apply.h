#pragma once
// Does what a plan says: runs its steps, keeps their results in the store, publishes what tests and gates let through.
#include <atomic>
#include <string>
#include <vector>

#include "project/plan.h"
#include "project/step.h"

namespace mlac {

struct ApplyOptions {
  size_t num_threads = 1;
};

struct AppliedModel {
  std::string name;
  size_t num_steps = 0;    // that ran
  std::string revision;    // NAME@latest behind it, "" for none
  bool published = false;  // by this run
  std::string refused_by;  // the step that said no: "gate"; "" for none
  std::string refusal;     // with both figures and the interval
};

struct ApplyResult {
  std::vector<AppliedModel> models;  // those of the plan, in its order
  bool refused() const;
  std::string Json() const;
};

// The lock under which a store is applied to: one at a time. Throws kResourceExhausted, saying who holds it.
class ApplyLock {
 public:
  explicit ApplyLock(const Store& store);

 private:
  FileLock lock_;
};

// Runs the plan. Whatever ends it, each result is there as a whole or not at all, and the next plan holds what is left; training goes on
// from its checkpoint. A model that a test or a gate refuses is not published, and the models behind it go on. Throws kCancelled once
// `stop` is true, kInvalidInput if a file changes while a step reads it, and what the steps throw.
ApplyResult Apply(const ProjectConfig& project, const Plan& plan, const Store& store, const ApplyOptions& options, ApplyObserver& observer,
                  const std::atomic<bool>& stop);

}  // namespace mlac
