#include "project/apply_reports.h"

#include <fmt/format.h>

#include "base/file.h"
#include "project/comparison.h"
#include "train/report_escape.h"

namespace mlac {

ApplyReports WriteApplyReports(const ApplyResult& result, const Plan& plan, const Store& store, size_t num_threads,
                               const std::atomic<bool>& stop) {
  ApplyReports reports;
  const auto add = [&](const std::string& markdown) { reports.markdown += (reports.markdown.empty() ? "" : "\n") + markdown; };
  for (size_t i = 0; i < result.models.size(); ++i) {
    const AppliedModel& model = result.models[i];
    if (!model.refused_by.empty())
      add(fmt::format("## {}: refused by {}\n\n{}\n", EscapeMarkdown(model.name), model.refused_by, EscapeMarkdown(model.refusal)));
    if (!model.published) continue;
    std::string before = plan.models[i].production.empty() ? plan.models[i].latest : plan.models[i].production;
    if (before == model.revision || !store.Has(before)) before.clear();
    const Comparison comparison = CompareRevisions(store, model.name, before, model.revision, num_threads, stop);
    const std::string path = fmt::format("{}/{}-{}", store.Part("reports"), model.name, model.revision.substr(0, 12));
    const std::string markdown = ComparisonMarkdown(comparison);
    WriteFileAtomically(path + ".html", ComparisonHtml(comparison));
    WriteFileAtomically(path + ".md", markdown);
    reports.written.emplace_back(model.name, path);
    add(markdown);
  }
  return reports;
}

}  // namespace mlac
