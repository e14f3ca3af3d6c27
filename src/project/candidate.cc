#include "project/candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "project/step.h"
#include "project/test_model.h"
#include "train/report_card.h"

namespace mlac {
namespace {

RefusedModel CandidateOf(const ProjectConfig& project, const Store& store, const std::string& name) {
  const ModelConfig& model = project.Find(name);
  return {.path = CandidateFolder(model, store), .config = model, .data = CurrentData(project, model, store), .refusal = ""};
}

}  // namespace

bool NamesCandidate(const Store& store, std::string_view reference) {
  const size_t at = reference.find('@');
  return at != std::string_view::npos && reference.substr(at + 1) == kCandidate &&
         !Aliases(store).Find(std::string(reference.substr(0, at)), std::string(kCandidate));
}

std::string CandidateFolder(const ModelConfig& model, const Store& store) {
  const StepStore steps(store);
  const std::map<std::string, std::string> last = steps.LastKeys(model.name);
  const auto find = [&](const char* step) { return last.contains(step) ? steps.Find(last.at(step)) : std::nullopt; };
  const auto is_of_last_training = [&](const StepRecord& optimized) {
    return std::any_of(optimized.inputs.begin(), optimized.inputs.end(), [&](const StepInput& input) {
      return input.name == "train" && last.contains("train") && input.value == last.at("train");
    });
  };
  std::optional<StepRecord> record = model.optimize.int8 ? find("optimize") : std::nullopt;
  if (!record || !is_of_last_training(*record)) record = find("train");
  if (!record || !steps.IsWhole(*record))
    throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no model '{}' yet, published or not", store.folder(), model.name),
                fmt::format("'mlac apply --target {}' trains it", model.name));
  return steps.OutputFolder(record->key) + "/model";
}

RevisionDiff DiffCandidate(const ProjectConfig& project, const Store& store, const ResolvedReference& before, const std::string& name) {
  const RefusedModel candidate = CandidateOf(project, store, name);
  RevisionDiff diff = DiffWithCandidate(store, before.name, before.revision, candidate);
  diff.after = kCandidate;
  const StepStore steps(store);
  const std::map<std::string, std::string> last = steps.LastKeys(name);
  const std::optional<StepRecord> measured = last.contains("evaluate") ? steps.Find(last.at("evaluate")) : std::nullopt;
  const std::string folder = candidate.path.substr(0, candidate.path.rfind('/'));
  const auto is_of_candidate = [&](const StepInput& input) { return steps.OutputFolder(input.value) == folder; };
  const bool has_figures = measured && std::any_of(measured->inputs.begin(), measured->inputs.end(), is_of_candidate);
  DiffFigures(FiguresOf(store, before.revision),
              has_figures ? FiguresIn(steps.OutputFolder(measured->key) + "/" + kMetricsFile) : std::map<std::string, double>(), diff);
  return diff;
}

Comparison CompareWithCandidate(const ProjectConfig& project, const Store& store, const ResolvedReference& before, const std::string& name,
                                size_t num_threads, const std::atomic<bool>& stop) {
  return CompareCandidate(store, name, before.revision, CandidateOf(project, store, name), num_threads, stop);
}

}  // namespace mlac
