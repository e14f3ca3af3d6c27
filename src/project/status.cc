#include "project/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/json.h"
#include "hub/aliases.h"
#include "project/model_task.h"
#include "train/report_card.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// names: the figures of its task, of which the first two that it has are shown.
std::map<std::string, double> FiguresOfRevision(const Store& store, const std::string& revision, std::span<const std::string_view> names) {
  std::map<std::string, double> figures;
  const RevisionFolder folder = store.OpenFolder(revision);
  const std::string path = folder.path() + "/" + kMetricsFile;
  if (!FileExists(path)) return figures;
  const json metrics = ReadJsonFile(path);
  for (const std::string_view name : names)
    if (const auto found = metrics.find(name); figures.size() < 2 && found != metrics.end() && found->is_number())
      figures[std::string(name)] = *found;
  return figures;
}

std::string Shown(const std::map<std::string, double>& figures) {
  std::string out;
  for (const auto& [name, value] : figures) out += fmt::format("{}{} {:.4f}", out.empty() ? "" : ", ", name, value);
  return out;
}

}  // namespace

ProjectStatus StatusOf(const ProjectConfig& project, const std::vector<std::string>& targets) {
  const Plan plan = MakePlan(project, {.targets = targets});
  const std::optional<Store> store = OpenProjectStore(project);
  ProjectStatus status = {.store = project.Path(project.store), .has_store = store.has_value(), .models = {}};
  for (const PlannedModel& planned : plan.models) {
    ModelStatus model;
    model.name = planned.name;
    model.refused_by = planned.refused_by;
    model.num_pending =
        static_cast<size_t>(std::count_if(planned.steps.begin(), planned.steps.end(), [](const PlannedStep& step) { return step.runs; }));
    const std::span<const std::string_view> metrics = TaskOf(project.Find(planned.name)).figures.metrics;
    if (store) {
      const Aliases aliases(*store);
      for (const std::string& alias : aliases.Of(planned.name)) model.aliases[alias] = aliases.Find(planned.name, alias).value_or("");
      if (!planned.latest.empty()) {
        model.latest_figures = FiguresOfRevision(*store, planned.latest, metrics);
        const std::vector<AliasMove> history = aliases.History(planned.name, kLatest);
        if (!history.empty()) model.published = history.back().time;
      }
      if (!planned.production.empty()) model.production_figures = FiguresOfRevision(*store, planned.production, metrics);
    }
    status.models.push_back(std::move(model));
  }
  return status;
}

std::string ProjectStatus::Text() const {
  std::string out = has_store ? "" : fmt::format("{}: there is no store yet\n", store);
  for (const ModelStatus& model : models) {
    out += fmt::format(
        "{}: {}\n", model.name,
        model.num_pending == 0
            ? "up to date"
            : fmt::format("{} {} to run{} ('mlac plan' shows them)", model.num_pending, model.num_pending == 1 ? "step" : "steps",
                          model.refused_by.empty() ? "" : fmt::format("; refused by {} the last time", model.refused_by)));
    for (const auto& [alias, revision] : model.aliases) {
      const auto& figures = alias == kProduction ? model.production_figures : model.latest_figures;
      const bool known = alias == kProduction || alias == kLatest;
      out +=
          fmt::format("  {:<12} {}{}{}\n", Printable(alias), revision.substr(0, 12), known && !figures.empty() ? "  " + Shown(figures) : "",
                      alias == kLatest && !model.published.empty() ? fmt::format("  {}", model.published.substr(0, 16)) : "");
    }
  }
  return out;
}

std::string ProjectStatus::Json() const {
  ordered_json list = ordered_json::array();
  for (const ModelStatus& model : models) {
    ordered_json entry = {{"name", model.name}, {"num_pending", model.num_pending}, {"aliases", model.aliases}};
    if (!model.published.empty()) entry["published"] = model.published;
    if (!model.refused_by.empty()) entry["refused_by"] = model.refused_by;
    entry["figures"] = {{"latest", model.latest_figures}, {"production", model.production_figures}};
    list.push_back(std::move(entry));
  }
  return DumpJson(ordered_json({{"format_version", 1}, {"store", store}, {"models", std::move(list)}}), 2) + "\n";
}

}  // namespace mlac
