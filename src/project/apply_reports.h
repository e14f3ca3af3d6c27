#pragma once
// What came of `mlac apply`, for people: a page and Markdown for each model that was published.
#include <atomic>
#include <string>

#include "hub/store.h"
#include "project/comparison.h"

namespace mlac {

struct ApplyReport {
  std::string path;  // without the ending: PATH.html and PATH.md were written
  std::string markdown;  // that of PATH.md, but for the refusal: what it goes into begins with that
};

// Compares a revision with another one ("": with none), measured now and on this machine, and writes store/reports/NAME-REVISION.html and
// .md. Throws as CompareRevisions and WriteFileAtomically.
ApplyReport WriteApplyReport(const Store& store, const std::string& name, const std::string& before, const std::string& revision,
                             size_t num_threads, const std::atomic<bool>& stop);

// The same of what a test or a gate refused: store/reports/NAME-refused.html and .md, of the last one alone.
ApplyReport WriteRefusalReport(const Store& store, const std::string& name, const std::string& before, const RefusedModel& candidate,
                               size_t num_threads, const std::atomic<bool>& stop);

}  // namespace mlac
