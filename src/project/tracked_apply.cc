#include "project/tracked_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/aliases.h"
#include "project/step_store.h"
#include "train/report_card.h"

namespace mlac {
namespace {

constexpr std::chrono::seconds kPatience{10};

// "training" of "data.train[1]".
std::string ContextOf(const std::string& input) {
  return input.starts_with("data.train") ? "training" : input.starts_with("data.test") ? "testing" : "validation";
}

// The hash of a file among the inputs of a step, without its name.
std::string HashOf(const StepInput& input) { return input.value.substr(0, input.value.find(' ')); }

}  // namespace

TrackedApply::TrackedApply(const ApplyTracking& tracking, const ProjectConfig& project, const Plan& plan, const Store& store,
                           ApplyObserver& to)
    : TrackedTraining<ApplyObserver>(to), tracking_(tracking), project_(project), plan_(plan), store_(store) {
  if (tracking.mlflow) ParseUrl(tracking.mlflow->url, "tracking");
  if (tracking.lineage) lineage_.emplace(*tracking.lineage);
}

TrackedApply::~TrackedApply() = default;

const PlannedModel* TrackedApply::PlanOf(const std::string& model) const {
  const auto found = std::find_if(plan_.models.begin(), plan_.models.end(), [&](const PlannedModel& each) { return each.name == model; });
  return found == plan_.models.end() ? nullptr : &*found;
}

void TrackedApply::OnModel(const std::string& model) {
  to_.OnModel(model);
  if (!models_.empty()) models_.back().last_step = last_step();
  model_ = model;
  if (!tracking_.mlflow) return;
  const ModelConfig& config = project_.Find(model);
  MlflowRun::Pairs parameters = {{"base", config.ShownBase()}, {"data.train", fmt::format("{}", config.data.train.front())}};
  for (const auto& parameter : TrainParameters(config)) parameters.push_back(parameter);
  if (config.optimize.int8) parameters.emplace_back("optimize.int8", "true");
  models_.push_back(
      {model, std::make_unique<MlflowRun>(*tracking_.mlflow, model, std::move(parameters), TagsOfRun("mlac apply", project_.folder))});
  Track(models_.back().run.get());
}

// What the step reads, as mlac.yaml names it; the versions are those that the step was last done with.
std::vector<LineageDataset> TrackedApply::InputsOf(const std::string& step) const {
  std::map<std::string, std::string> versions;  // by path
  const StepStore steps(store_);
  if (const PlannedModel* plan = PlanOf(model_))
    for (const auto& [name, key] : plan->keys())
      if (const std::optional<StepRecord> record = steps.Find(key))
        for (const StepInput& input : record->inputs)
          if (input.kind == StepInput::Kind::kFile && !input.shown.empty()) versions[input.shown] = HashOf(input);
  const ModelConfig& config = project_.Find(model_);
  std::vector<LineageDataset> inputs;
  std::vector<std::string> paths;
  const PlannedModel* planned = PlanOf(model_);
  if (planned == nullptr || planned->base.name.empty()) {
    paths.push_back(config.base);
  } else if (const PlannedBase& base = planned->base; base.model.empty()) {
    inputs.push_back({"mlac", base.name, base.revision});
  } else {
    inputs.push_back({"mlac", base.model + ".trained", base.key});
  }
  paths.insert(paths.end(), config.data.train.begin(), config.data.train.end());
  paths.push_back(config.data.validation);
  if (step == "publish") paths.push_back(config.data.test);
  for (const std::string& path : paths)
    if (!path.empty()) inputs.push_back({"file", path, versions.contains(path) ? versions.at(path) : ""});
  return inputs;
}

void TrackedApply::SendLineage(LineageEvent::Type type, const std::string& message) {
  if (!lineage_ || lineage_run_.empty()) return;
  LineageEvent event = {
      .type = type, .run = lineage_run_, .job = model_ + "." + step_, .inputs = InputsOf(step_), .outputs = {}, .message = message};
  const bool done = type == LineageEvent::Type::kComplete;
  if (step_ == "train") {
    const PlannedModel* plan = PlanOf(model_);
    event.outputs.push_back({"mlac", model_ + ".trained", done && plan != nullptr ? plan->keys().at("train") : ""});
  } else {
    event.outputs.push_back({"mlac", model_, done ? Aliases(store_).Find(model_, kLatest).value_or("") : ""});
  }
  lineage_->Send(event);
  if (type != LineageEvent::Type::kStart) lineage_run_.clear();
}

void TrackedApply::OnStepStart(const std::string& step, size_t number, size_t count) {
  to_.OnStepStart(step, number, count);
  step_ = step;
  if (!lineage_ || (step != "train" && step != "publish")) return;
  lineage_run_ = NewLineageRun();
  SendLineage(LineageEvent::Type::kStart);
}

void TrackedApply::OnStepEnd(const std::string& step, double seconds, const std::string& summary) {
  to_.OnStepEnd(step, seconds, summary);
  SendLineage(LineageEvent::Type::kComplete);
}

void TrackedApply::OnRefused(const std::string& step, const std::string& message) {
  to_.OnRefused(step, message);
  SendLineage(LineageEvent::Type::kFail, message);
}

void TrackedApply::OnFailed(const std::string& message) {
  to_.OnFailed(message);
  SendLineage(LineageEvent::Type::kFail, message);
}

// What the steps of the model left in the store, whatever came of it. What cannot be read of it is left out and said: it is a copy, and no
// reason to fail what was applied.
void TrackedApply::LogModel(TrackedModel& model, const AppliedModel* applied) const noexcept {
  try {
    LogWhatIsKept(model, applied);
  } catch (const std::exception& error) {
    const auto* known = dynamic_cast<const Error*>(&error);
    try {
      tracking_.mlflow->on_warning(fmt::format("tracking of {}: {}", model.name, known != nullptr ? known->message() : error.what()));
    } catch (const std::exception&) {  // nobody to tell
    }
  }
}

void TrackedApply::LogWhatIsKept(TrackedModel& model, const AppliedModel* applied) const {
  const PlannedModel* plan = PlanOf(model.name);
  if (plan == nullptr) return;
  const StepStore steps(store_);
  std::set<std::string> logged;
  for (const auto& [step, key] : plan->keys()) {
    const std::optional<StepRecord> record = steps.Find(key);
    if (!record) continue;
    for (const StepInput& input : record->inputs)
      if (input.kind == StepInput::Kind::kFile && input.name.starts_with("data.") && logged.insert(input.shown).second)
        model.run->LogDataset(ContextOf(input.name), input.shown, HashOf(input));
    if (step != "evaluate") continue;
    const std::string folder = steps.OutputFolder(key);
    if (!FileExists(folder + "/" + kMetricsFile)) continue;
    const nlohmann::json metrics =
        ReadJsonFile(folder + "/" + kMetricsFile);  // by name: a range-for over a part of a temporary outlives it
    for (const auto& [name, value] : metrics.items())
      if (value.is_number() && name != "format_version") model.run->LogMetric("test_" + name, value, model.last_step);
    if (applied == nullptr || !applied->published) LogReports(*model.run, folder);
  }
  if (applied == nullptr) return;
  MlflowRun::Pairs tags = {{"mlac.published", applied->published ? "true" : "false"}};
  if (applied->published) {
    tags.emplace_back("mlac.revision", applied->revision);
    const RevisionFolder folder = store_.OpenFolder(applied->revision);
    LogReports(*model.run, folder.path());
  }
  if (!applied->refused_by.empty()) {
    tags.emplace_back("mlac.refused_by", applied->refused_by);
    tags.emplace_back("mlac.refusal", applied->refusal);
  }
  if (applied->failure) tags.emplace_back("mlac.error", applied->failure->message());
  model.run->LogTags(std::move(tags));
}

void TrackedApply::Finish(const ApplyResult& result) {
  if (!models_.empty()) models_.back().last_step = last_step();
  for (TrackedModel& model : models_) {
    const auto applied =
        std::find_if(result.models.begin(), result.models.end(), [&](const AppliedModel& each) { return each.name == model.name; });
    const bool known = applied != result.models.end();
    LogModel(model, known ? &*applied : nullptr);
    model.run->Finish(known && applied->refused_by.empty() && !applied->failure ? MlflowRun::Status::kFinished
                                                                                : MlflowRun::Status::kFailed);
  }
  if (lineage_) lineage_->Finish(kPatience);
}

void TrackedApply::Finish(const Error& error) {
  const bool cancelled = error.code() == ErrorCode::kCancelled;
  SendLineage(cancelled ? LineageEvent::Type::kAbort : LineageEvent::Type::kFail, error.message());
  for (TrackedModel& model : models_) {
    const bool is_last = &model == &models_.back();
    if (!is_last) LogModel(model, nullptr);
    if (is_last) model.run->LogTags({{"mlac.error", error.message()}});
    model.run->Finish(!is_last ? MlflowRun::Status::kFinished : cancelled ? MlflowRun::Status::kKilled : MlflowRun::Status::kFailed);
  }
  if (lineage_) lineage_->Finish(kPatience);
}

std::vector<std::string> TrackedApply::Pages() const {
  std::vector<std::string> pages;
  for (const TrackedModel& model : models_)
    if (std::string page = model.run->Page(); !page.empty()) pages.push_back(std::move(page));
  return pages;
}

}  // namespace mlac
