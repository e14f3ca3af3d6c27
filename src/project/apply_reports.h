#pragma once
// What came of `mlac apply`, for people: a page and Markdown for each model that was published.
#include <atomic>
#include <string>
#include <vector>

#include "project/apply.h"
#include "project/plan.h"

namespace mlac {

struct ApplyReports {
  // "topics" and the path of its report without the ending: PATH.html and PATH.md were written.
  std::vector<std::pair<std::string, std::string>> written;
  std::string markdown;  // of all models, for a pull request: comparisons, and what tests and gates refused; "" if there is neither
};

// plan: as it was before `result` came of it. Compares each published model with production, else with what was latest before, measured now
// and on this machine, and writes store/reports/NAME-REVISION.html and .md. Throws as CompareRevisions and WriteFileAtomically.
ApplyReports WriteApplyReports(const ApplyResult& result, const Plan& plan, const Store& store, size_t num_threads,
                               const std::atomic<bool>& stop);

}  // namespace mlac
