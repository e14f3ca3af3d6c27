#include "project/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/build_info.h"
#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/aliases.h"
#include "project/data_profile.h"
#include "project/owed_report.h"
#include "project/step.h"
#include "train/checkpoint.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kManyModels = 20;  // above, those that stay as they are get no line

// A step with all that its run is decided by.
struct Described {
  const StepKind* kind = nullptr;
  std::string key;
  StepDescription description;
  std::optional<StepRecord> record;  // of the result that is there
};

bool Differs(const StepInput& a, const StepInput& b) { return a.kind != b.kind || a.value != b.value; }

const StepInput* FindInput(const std::vector<StepInput>& inputs, const std::string& name) {
  for (const StepInput& input : inputs)
    if (input.name == name) return &input;
  return nullptr;
}

// "models/minilm", "topics@production", "the model 'topics'".
std::string ShownBase(const StepInput& input) {
  return input.kind == StepInput::Kind::kModel ? fmt::format("the model '{}'", input.shown) : input.shown;
}

class ModelPlanner {
 public:
  // base: the plan of the model that it is made from, or nullptr.
  ModelPlanner(const ProjectConfig& project, const ModelConfig& model, const Store* store, Contents& contents, const PlannedModel* base)
      : project_(project), model_(model), store_(store), contents_(contents) {
    FindBase(base);
    if (store == nullptr) return;
    const Aliases aliases(*store);
    latest_ = aliases.Find(model.name, kLatest);
    production_ = aliases.Find(model.name, kProduction);
  }

  PlannedModel Run() {
    Describe();
    std::vector<bool> runs(steps_.size());
    if (!IsPublished()) Need(steps_.size() - 1, /*anyway=*/true, runs);
    PlannedModel planned = {.name = model_.name, .steps = {}, .latest = latest_.value_or(""), .production = production_.value_or("")};
    planned.owes_report = store_ != nullptr && FindOwedReport(*store_, model_.name).has_value();
    planned.base = base_;
    const std::map<std::string, std::string> last = store_ != nullptr && std::find(runs.begin(), runs.end(), true) != runs.end()
                                                        ? StepStore(*store_).LastKeys(model_.name)
                                                        : std::map<std::string, std::string>();
    const std::optional<StepRefusal> refusal = last.empty() ? std::nullopt : StepStore(*store_).LastRefusal(model_.name);
    for (size_t i = 0; i < steps_.size(); ++i) {
      PlannedStep step = {
          .step = std::string(steps_[i].kind->name), .key = steps_[i].key, .runs = runs[i], .reasons = {}, .seconds = std::nullopt};
      if (runs[i]) Explain(steps_[i], runs, last, step);
      if (runs[i] && steps_[i].kind == &kTrainStep) ExplainCheckpoint(step);
      if (runs[i] && refusal && refusal->key == step.key) {
        planned.refused_by = step.step;
        step.reasons.push_back(fmt::format("refused on {}: {}", refusal->time.substr(0, 10), refusal->message));
      }
      planned.steps.push_back(std::move(step));
    }
    return planned;
  }

 private:
  void FindBase(const PlannedModel* base) {
    try {
      base_ = PlanBase(project_, model_, store_, base == nullptr ? nullptr : &base->base,
                       base == nullptr ? "" : base->keys().at(std::string(kTrainStep.name)));
    } catch (const Error& error) {
      StepScope{project_, model_, contents_, keys_, production_, base_}.Refuse(error, "base");
    }
  }

  void Describe() {
    for (const StepKind* kind : AllStepKinds()) {
      if (!kind->applies(model_)) continue;
      const StepScope scope = {project_, model_, contents_, keys_, production_, base_};
      Described step = {kind, {}, kind->describe(scope), std::nullopt};
      step.description.inputs.push_back({"mlac", StepInput::Kind::kVersion, GetBuildInfo().version});
      step.key = StepKey(kind->name, step.description.inputs);
      keys_[std::string(kind->name)] = step.key;
      steps_.push_back(std::move(step));
    }
  }

  std::optional<StepRecord> Record(Described& step) {
    if (!step.record && store_ != nullptr) step.record = StepStore(*store_).Find(step.key);
    return step.record;
  }

  // Whether NAME@latest is what this mlac.yaml would give.
  bool IsPublished() {
    if (!latest_) return false;
    const std::optional<StepRecord> record = Record(steps_.back());
    return record && ParseJson(record->result, "result").value("revision", "") == *latest_ && store_->Has(*latest_);
  }

  // Whether the result is there and, as nothing is published yet, holds for today's production and processor.
  bool IsDone(Described& step) {
    const std::optional<StepRecord> record = Record(step);
    if (!record) return false;
    for (const StepInput& input : step.description.until_published) {
      const json result = ParseJson(record->result, "result");
      if (!result.contains("until_published") || result["until_published"].value(input.name, "") != input.value) return false;
    }
    return true;
  }

  // Marks a step and what it needs that is not there.
  void Need(size_t index, bool anyway, std::vector<bool>& runs) {
    Described& step = steps_[index];
    if (runs[index] || (!anyway && IsDone(step))) return;
    runs[index] = true;
    const bool only_moves = step.kind == &kPublishStep && IsStored(step);
    for (const StepInput& input : step.description.inputs) {
      if (input.kind != StepInput::Kind::kStep || only_moves) continue;
      for (size_t i = 0; i < index; ++i)
        if (steps_[i].kind->name == input.name) Need(i, false, runs);
    }
    if (step.kind == &kEvaluateStep || step.kind == &kTrainStep) NeedCheck(index, runs);
  }

  // Nothing is computed from data that was not looked at first, though it needs nothing of what that gave.
  void NeedCheck(size_t before, std::vector<bool>& runs) {
    for (size_t i = 0; i < before; ++i)
      if (steps_[i].kind == &kCheckStep) Need(i, false, runs);
  }

  bool IsStored(Described& step) {
    const std::optional<StepRecord> record = Record(step);
    return record && store_->Has(ParseJson(record->result, "result").value("revision", ""));
  }

  void Explain(Described& step, const std::vector<bool>& runs, const std::map<std::string, std::string>& last, PlannedStep& planned) {
    std::optional<StepRecord> before;
    if (const auto key = last.find(planned.step); key != last.end()) before = StepStore(*store_).Find(key->second);
    if (!before) {
      planned.reasons.push_back(last.contains(planned.step) ? "its last result is no longer there" : "first time");
      return;
    }
    planned.seconds = Estimate(step, *before);
    for (const StepInput& input : step.description.inputs) ExplainInput(step.description, input, *before, planned.reasons);
    ExplainSteps(step, *before, runs, planned.reasons);
    for (const StepInput& input : before->inputs)
      if (FindInput(step.description.inputs, input.name) == nullptr && input.kind != StepInput::Kind::kStep)
        planned.reasons.push_back(fmt::format("{}: {} is gone", input.name, input.shown.empty() ? input.value : input.shown));
    if (!planned.reasons.empty()) return;
    for (const StepInput& input : step.description.until_published) planned.reasons.push_back(UntilPublished(input, *before));
    std::erase(planned.reasons, "");
    if (planned.reasons.empty())
      planned.reasons.push_back(step.kind == &kPublishStep ? fmt::format("{}@{} stands for another revision", model_.name, kLatest)
                                                           : "it was done for another state of mlac.yaml since");
  }

  // A training that was interrupted goes on: only what is left of it takes time.
  void ExplainCheckpoint(PlannedStep& planned) const {
    if (store_ == nullptr) return;
    const std::optional<CheckpointProgress> progress =
        LookAtCheckpoint(TrainingCheckpoint(StepStore(*store_).WorkFolder(planned.key) + "/output", model_));
    if (!progress || progress->num_steps == 0) return;
    planned.reasons.push_back(fmt::format("goes on from step {} of {}", progress->step, progress->num_steps));
    if (planned.seconds) *planned.seconds *= 1 - static_cast<double>(progress->step) / static_cast<double>(progress->num_steps);
  }

  // Training takes about as long as the last time, an epoch.
  static double Estimate(const Described& step, const StepRecord& before) {
    const StepInput *now = FindInput(step.description.inputs, "train.epochs"), *then = FindInput(before.inputs, "train.epochs");
    const std::optional<double> epochs = now == nullptr ? std::nullopt : ParseNumber(now->value);
    const std::optional<double> epochs_before = then == nullptr ? std::nullopt : ParseNumber(then->value);
    return epochs && epochs_before && *epochs_before > 0 ? before.seconds * *epochs / *epochs_before : before.seconds;
  }

  std::string UntilPublished(const StepInput& input, const StepRecord& before) const {
    const json result = ParseJson(before.result, "result");
    const std::string old = result.contains("until_published") ? result["until_published"].value(input.name, "") : "";
    if (old == input.value) return "";
    const auto shown = [&](const std::string& value) { return IsRevision(value) ? value.substr(0, 10) : value; };
    return fmt::format("{}: {} -> {}", input.name, shown(old), shown(input.value));
  }

  void ExplainInput(const StepDescription& description, const StepInput& input, const StepRecord& before,
                    std::vector<std::string>& reasons) const {
    const StepInput* old = FindInput(before.inputs, input.name);
    // Names that occur several times (gates, filters, columns) are compared as a whole, once.
    const auto all = [&](const std::vector<StepInput>& inputs) {
      std::vector<std::string> values;
      for (const StepInput& each : inputs)
        if (each.name == input.name) values.push_back(each.value);
      return values;
    };
    const std::vector<std::string> now = all(description.inputs), then = all(before.inputs);
    if (now.size() > 1 || then.size() > 1) {
      if (&input == FindInput(description.inputs, input.name)) ExplainList(input.name, now, then, reasons);
      return;
    }
    if (old != nullptr && !Differs(input, *old)) return;
    if (old != nullptr && old->kind != input.kind) {
      reasons.push_back(fmt::format("{}: {} -> {}", input.name, ShownBase(*old), ShownBase(input)));
      return;
    }
    switch (input.kind) {
      case StepInput::Kind::kParameter:
        reasons.push_back(old == nullptr
                              ? fmt::format("{}: {} is new", input.name, Printable(input.value, 100))
                              : fmt::format("{}: {} -> {}", input.name, Printable(old->value, 100), Printable(input.value, 100)));
        return;
      case StepInput::Kind::kVersion:
        reasons.push_back(fmt::format("mlac {} -> {}", old == nullptr ? "" : old->value, input.value));
        return;
      case StepInput::Kind::kFile:
        reasons.push_back(fmt::format("{}: {}", input.shown, old == nullptr ? "is new" : FileChange(input, *old)));
        return;
      case StepInput::Kind::kRevision:
        reasons.push_back(fmt::format("{}: {}", input.name, old == nullptr ? "is new" : RevisionChange(input, *old)));
        return;
      case StepInput::Kind::kModel:
        reasons.push_back(old == nullptr || old->shown == input.shown
                              ? fmt::format("{}: {} is trained anew", input.name, ShownBase(input))
                              : fmt::format("{}: {} -> {}", input.name, ShownBase(*old), ShownBase(input)));
        return;
      case StepInput::Kind::kStep:
        return;  // ExplainSteps tells of them together
    }
  }

  // "topics@production moved from 0123456789 to abcdef0123".
  static std::string RevisionChange(const StepInput& now, const StepInput& then) {
    if (now.shown == then.shown) return fmt::format("{} moved from {} to {}", now.shown, then.value.substr(0, 10), now.value.substr(0, 10));
    return fmt::format("{} ({}) -> {} ({})", then.shown, then.value.substr(0, 10), now.shown, now.value.substr(0, 10));
  }

  // "train and evaluate run".
  void ExplainSteps(const Described& step, const StepRecord& before, const std::vector<bool>& runs,
                    std::vector<std::string>& reasons) const {
    std::vector<std::string> running;
    for (const StepInput& input : step.description.inputs) {
      const StepInput* old = FindInput(before.inputs, input.name);
      if (input.kind != StepInput::Kind::kStep || (old != nullptr && !Differs(input, *old))) continue;
      for (size_t i = 0; i < steps_.size(); ++i) {
        if (steps_[i].kind->name != input.name) continue;
        if (runs[i]) {
          running.push_back(input.name);
        } else {
          reasons.push_back(fmt::format("{} has another result", input.name));
        }
      }
    }
    if (running.empty()) return;
    const std::string last = running.back();
    running.pop_back();
    reasons.push_back(running.empty() ? fmt::format("{} runs", last) : fmt::format("{} and {} run", fmt::join(running, ", "), last));
  }

  static void ExplainList(const std::string& name, const std::vector<std::string>& now, const std::vector<std::string>& then,
                          std::vector<std::string>& reasons) {
    if (now == then) return;
    const size_t num_before = reasons.size();
    const auto add = [&](const std::vector<std::string>& in, const std::vector<std::string>& not_in, const char* what) {
      for (const std::string& value : in)
        if (std::find(not_in.begin(), not_in.end(), value) == not_in.end())
          reasons.push_back(fmt::format("{}: {} is {}", name, Quoted(value), what));
    };
    add(now, then, "new");
    add(then, now, "gone");
    if (reasons.size() == num_before) reasons.push_back(fmt::format("{}: another order", name));
  }

  std::string FileChange(const StepInput& now, const StepInput& then) const {
    const std::string old_hash = then.value.substr(0, then.value.find(' ')), hash = now.value.substr(0, now.value.find(' '));
    if (hash == old_hash) return fmt::format("was {}", then.shown);
    std::string change;
    if (now.name.starts_with("data."))
      change = DescribeDataChange(*store_, TaskOf(model_), old_hash, project_.Path(now.shown), ColumnsOf(model_));
    return change.empty() ? "changed" : change;
  }

  const ProjectConfig& project_;
  const ModelConfig& model_;
  const Store* store_;
  Contents& contents_;
  PlannedBase base_;
  std::optional<std::string> latest_, production_;
  std::map<std::string, std::string> keys_;
  std::vector<Described> steps_;
};

std::string ShowSeconds(double seconds) {
  const auto whole = static_cast<size_t>(std::max(0.0, seconds) + 0.5);
  if (whole < 1) return "under 1 s";
  if (whole < 60) return fmt::format("about {} s", whole);
  if (whole < 3600) return fmt::format("about {} min {:02} s", whole / 60, whole % 60);
  return fmt::format("about {} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string Counted(size_t count, std::string_view what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); }

}  // namespace

std::optional<Store> OpenProjectStore(const ProjectConfig& project) {
  // By this file a folder is a store: one without it was being made when its process was killed, or is refused by Store::OpenOrCreate.
  const std::string folder = project.Path(project.store);
  if (!FileExists(folder + "/store.json")) return std::nullopt;
  return Store::Open(folder);
}

bool PlannedModel::changes() const {
  return std::any_of(steps.begin(), steps.end(), [](const PlannedStep& step) { return step.runs; });
}

std::map<std::string, std::string> PlannedModel::keys() const {
  std::map<std::string, std::string> keys;
  for (const PlannedStep& step : steps) keys[step.step] = step.key;
  return keys;
}

bool Plan::changes() const {
  return std::any_of(models.begin(), models.end(), [](const PlannedModel& model) { return model.changes() || model.owes_report; });
}

size_t Plan::num_steps() const {
  size_t count = 0;
  for (const PlannedModel& model : models)
    count += static_cast<size_t>(std::count_if(model.steps.begin(), model.steps.end(), [](const PlannedStep& step) { return step.runs; }));
  return count;
}

std::optional<double> Plan::seconds() const {
  std::optional<double> sum;
  for (const PlannedModel& model : models)
    for (const PlannedStep& step : model.steps)
      if (step.runs && step.seconds) sum = sum.value_or(0) + *step.seconds;
  return sum;
}

std::string Plan::Text() const {
  std::string out;
  size_t num_changed = 0;
  for (const PlannedModel& model : models) {
    num_changed += model.changes();
    if (model.owes_report)
      out += fmt::format("{}: {}, {}, was published without its report, which is written now\n", model.name, kLatest,
                         model.latest.substr(0, 10));
    if (model.owes_report && !model.changes()) continue;
    if (!model.changes() && models.size() > kManyModels) continue;
    if (!model.changes()) {
      out += fmt::format("{}: nothing to do, {} is {}\n", model.name, kLatest, model.latest.substr(0, 10));
      continue;
    }
    out += model.name + "\n";
    for (const PlannedStep& step : model.steps) {
      if (!step.runs) {
        out += fmt::format("  {:<9} -\n", step.step);
        continue;
      }
      for (size_t i = 0; i < step.reasons.size(); ++i)
        out += fmt::format("  {:<9} {}  {}{}\n", i == 0 ? step.step : "", i == 0 ? "run" : "   ", step.reasons[i],
                           i == 0 && step.seconds ? fmt::format("  ({})", ShowSeconds(*step.seconds)) : "");
    }
  }
  const size_t num_equal = models.size() - num_changed;
  out += fmt::format(
      "{} to run in {}{}{}\n", Counted(num_steps(), "step"), Counted(num_changed, "model"),
      num_equal > 0 && num_changed > 0 ? fmt::format("; {} as {}", Counted(num_equal, "model"), num_equal == 1 ? "it is" : "they are") : "",
      seconds() ? fmt::format("; {}, going by the last time", ShowSeconds(*seconds())) : "");
  return out;
}

std::string Plan::Json() const {
  ordered_json list = ordered_json::array();
  for (const PlannedModel& model : models) {
    ordered_json steps = ordered_json::array();
    for (const PlannedStep& step : model.steps) {
      ordered_json entry = {{"step", step.step}, {"key", step.key}, {"runs", step.runs}};
      if (step.runs) entry["reasons"] = step.reasons;
      if (step.seconds) entry["seconds"] = *step.seconds;
      steps.push_back(std::move(entry));
    }
    const auto revision = [](const std::string& value) { return value.empty() ? ordered_json(nullptr) : ordered_json(value); };
    list.push_back({{"name", model.name},
                    {"changes", model.changes()},
                    {"latest", revision(model.latest)},
                    {"production", revision(model.production)},
                    {"refused_by", model.refused_by.empty() ? ordered_json(nullptr) : ordered_json(model.refused_by)},
                    {"owes_report", model.owes_report},
                    {"steps", std::move(steps)}});
    const PlannedBase& base = model.base;
    if (!base.model.empty()) list.back()["base"] = {{"model", base.model}};
    if (!base.revision.empty()) list.back()["base"] = {{"name", base.name}, {"revision", base.revision}};
  }
  const ordered_json out = {{"format_version", 1},
                            {"mlac_version", GetBuildInfo().version},
                            {"file", file},
                            {"store", store},
                            {"changes", changes()},
                            {"num_steps", num_steps()},
                            {"models", std::move(list)}};
  return DumpJson(out, 2) + "\n";
}

Plan MakePlan(const ProjectConfig& project, const PlanOptions& options) {
  const std::optional<Store> store = OpenProjectStore(project);
  Contents contents(store ? &*store : nullptr);
  Plan plan = {.file = project.file, .store = project.store, .models = {}};
  std::map<std::string, size_t> numbers;  // in the plan, by name
  for (const ModelConfig* model : ModelsWithBases(project, options.targets)) {
    const auto number = numbers.find(model->base_model);
    if (!model->base_model.empty() && number == numbers.end())  // which ReadProject refuses
      throw Error(ErrorCode::kInvalidArgument, fmt::format("the model '{}' is made from itself", model->name));
    const PlannedModel* base = model->base_model.empty() ? nullptr : &plan.models[number->second];
    PlannedModel planned = ModelPlanner(project, *model, store ? &*store : nullptr, contents, base).Run();
    numbers[model->name] = plan.models.size();
    plan.models.push_back(std::move(planned));
  }
  return plan;
}

Plan ParsePlan(std::string_view text, std::string_view where) {
  try {
    const json value = ParseJson(text, where);
    if (value.at("format_version") != 1)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is a plan of another version of mlac", where), "plan again");
    Plan plan = {.file = value.at("file"), .store = value.at("store"), .models = {}};
    for (const json& model : value.at("models")) {
      const auto revision = [&](const char* name) { return model.at(name).is_null() ? std::string() : model.at(name).get<std::string>(); };
      PlannedModel planned = {.name = model.at("name"), .steps = {}, .latest = revision("latest"), .production = revision("production")};
      planned.owes_report = model.value("owes_report", false);
      if (const auto base = model.find("base"); base != model.end()) {
        planned.base.model = base->value("model", "");
        planned.base.name = base->value("name", planned.base.model);
        planned.base.revision = base->value("revision", "");
      }
      if (model.contains("refused_by") && !model.at("refused_by").is_null()) planned.refused_by = model.at("refused_by");
      for (const json& step : model.at("steps"))
        planned.steps.push_back({.step = step.at("step"),
                                 .key = step.at("key"),
                                 .runs = step.at("runs"),
                                 .reasons = step.value("reasons", std::vector<std::string>()),
                                 .seconds = step.contains("seconds") ? std::optional(step.at("seconds").get<double>()) : std::nullopt});
      plan.models.push_back(std::move(planned));
    }
    return plan;
  } catch (const json::exception&) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is no plan", where), "'mlac plan --plan-file FILE' writes one");
  }
}

void CheckPlanStands(const Plan& reviewed, const Plan& now, std::string_view where) {
  const auto moved = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: something moved since it was made: {}", where, what), "plan and review again");
  };
  if (reviewed.models.size() != now.models.size()) moved(fmt::format("{} models, now {}", reviewed.models.size(), now.models.size()));
  for (size_t m = 0; m < now.models.size(); ++m) {
    const PlannedModel &then = reviewed.models[m], &current = now.models[m];
    if (then.name != current.name) moved(fmt::format("the model {} stands where {} stood", current.name, then.name));
    if (then.latest != current.latest) moved(fmt::format("{}@{} stands for another revision", current.name, kLatest));
    if (then.production != current.production) moved(fmt::format("{}@{} stands for another revision", current.name, kProduction));
    if (then.base.name == current.base.name && then.base.revision != current.base.revision)
      moved(fmt::format("{} starts from {}@{}, not {}@{}", current.name, current.base.name, current.base.revision.substr(0, 10),
                        then.base.name, then.base.revision.substr(0, 10)));
    if (then.steps.size() != current.steps.size())
      moved(fmt::format("{} has {} steps, not {}", current.name, current.steps.size(), then.steps.size()));
    for (size_t s = 0; s < current.steps.size(); ++s) {
      const PlannedStep &old = then.steps[s], &step = current.steps[s];
      if (old.step == step.step && old.key == step.key && old.runs == step.runs) continue;
      moved(fmt::format("{}: {}{}", current.name, step.step,
                        step.runs && !step.reasons.empty() ? ": " + step.reasons.front()
                        : step.runs                        ? " runs"
                                                           : " does not run"));
    }
  }
}

}  // namespace mlac
