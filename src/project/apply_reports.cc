#include "project/apply_reports.h"

#include <fmt/format.h>

#include "base/file.h"

namespace mlac {
namespace {

ApplyReport Written(const std::string& path, const Comparison& comparison) {
  WriteFileAtomically(path + ".html", ComparisonHtml(comparison));
  WriteFileAtomically(path + ".md", ComparisonMarkdown(comparison));
  return {.path = path, .markdown = ComparisonMarkdown(comparison, /*says_refusal=*/false)};
}

// What there is to compare with: not the revision itself, nor one that the store has no more.
std::string Before(const Store& store, const std::string& before, const std::string& revision) {
  return before != revision && store.Has(before) ? before : "";
}

}  // namespace

ApplyReport WriteApplyReport(const Store& store, const std::string& name, const std::string& before, const std::string& revision,
                             size_t num_threads, const std::atomic<bool>& stop) {
  return Written(fmt::format("{}/{}-{}", store.Part("reports"), name, revision.substr(0, 12)),
                 CompareRevisions(store, name, Before(store, before, revision), revision, num_threads, stop));
}

ApplyReport WriteRefusalReport(const Store& store, const std::string& name, const std::string& before, const RefusedModel& candidate,
                               size_t num_threads, const std::atomic<bool>& stop) {
  return Written(fmt::format("{}/{}-refused", store.Part("reports"), name),
                 CompareCandidate(store, name, Before(store, before, ""), candidate, num_threads, stop));
}

}  // namespace mlac
