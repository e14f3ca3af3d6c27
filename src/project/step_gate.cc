// gate: whether the model meets the conditions of mlac.yaml. Nothing that a gate refuses is published.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "project/data_profile.h"
#include "project/predictions.h"
#include "project/step.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;
using FigureKind = GateFigure::Kind;

// Labels that gates name must be in the data, where these were looked at before.
void CheckGateLabels(const StepScope& scope) {
  const std::vector<Gate>& gates = scope.model.gates;
  const Store* store = scope.contents.store();
  if (store == nullptr || std::all_of(gates.begin(), gates.end(), [](const Gate& gate) { return gate.figure.label.empty(); })) return;
  std::vector<std::string> files = scope.model.data.train, labels;
  for (const std::string& file : {scope.model.data.validation, scope.model.data.test})
    if (!file.empty()) files.push_back(file);
  for (const std::string& file : files) {
    const auto some = RememberedLabels(*store, TaskOf(scope.model), scope.contents.Hash(scope.project.Path(file)), ColumnsOf(scope.model));
    if (!some) return;
    labels.insert(labels.end(), some->begin(), some->end());
  }
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  for (size_t i = 0; i < gates.size(); ++i) {
    const std::string& label = gates[i].figure.label;
    if (label.empty() || labels.empty() || std::binary_search(labels.begin(), labels.end(), label)) continue;
    scope.Refuse(Error(ErrorCode::kInvalidInput, fmt::format("the data have no label {}", Quoted(label)), KnownNames(label, labels)),
                 fmt::format("gates[{}]", i));
  }
}

StepDescription DescribeGate(const StepScope& scope) {
  CheckGateLabels(scope);
  StepDescription step = {{scope.Step("evaluate"), scope.Model()}, {}};
  bool against_production = false, latency = false;
  for (size_t i = 0; i < scope.model.gates.size(); ++i) {
    const Gate& gate = scope.model.gates[i];
    const size_t most = gate.figure.kind == FigureKind::kLatency ? scope.MaxTokens() : 0;
    if (most > 0 && gate.figure.num_tokens > most)
      scope.Refuse(Error(ErrorCode::kInvalidInput, fmt::format("{}: the base model takes {} tokens at most", gate.figure.Text(), most)),
                   fmt::format("gates[{}]", i));
    step.inputs.push_back(scope.Parameter("gates", gate.Text()));
    against_production |= gate.against_production;
    latency |= gate.figure.kind == FigureKind::kLatency;
  }
  if (against_production) step.until_published.push_back(scope.Parameter("production", scope.production.value_or("none")));
  if (latency) step.until_published.push_back(scope.Parameter("processor", ProcessorName()));
  return step;
}

std::vector<std::string> NamesOf(const Figures& figures) {
  std::vector<std::string> names;
  for (const Figure& figure : figures.figures) names.push_back(figure.name);
  return names;
}

// Measures what gates ask for, each thing once, of the candidate and of production.
class Measurer {
 public:
  explicit Measurer(StepRun& run) : run_(run), after_(ReadPredictions(run.OutputOf("evaluate") + "/" + kPredictionsFile)) {}

  GateMeasurement Measure(const Gate& gate) {
    if (gate.against_production && run_.production) OpenProduction();
    const bool compared = gate.against_production && before_.has_value();
    switch (gate.figure.kind) {
      case FigureKind::kSize:
        return {.value = static_cast<double>(ModelBytes(run_.ModelFolder())),
                .production = compared ? std::optional(static_cast<double>(ModelBytes(folder_->path()))) : std::nullopt};
      case FigureKind::kLatency:
        return MeasureLatency(gate, compared);
      default:
        break;
    }
    // What these test data do not give is no reason to refuse while there is nothing to compare with.
    if (gate.against_production && !run_.production && !IsMeasured(gate.figure)) return {.value = std::nan("")};
    GateMeasurement measured = {.value = ValueIn(gate.figure, after_.figures)};
    if (!gate.against_production) {
      measured.value_interval = IntervalOf(gate.figure);
    } else if (compared) {
      measured.production = ValueIn(gate.figure, before_->figures);
      if (gate.figure.kind == FigureKind::kMetric)
        if (const std::optional<PairedDifference> change = CompareFigure(*before_, after_, gate.figure.name))
          measured.difference_interval = change->interval;
      if (gate.confident && !measured.difference_interval)
        throw Error(
            ErrorCode::kInvalidInput,
            fmt::format("{}: gate '{}': the difference has no interval, because the two models do not read the test data as the same rows",
                        run_.model.name, gate.Text()),
            "without 'confident' the figure itself decides");
    }
    return measured;
  }

 private:
  // The production model, evaluated on the test data as it is today.
  void OpenProduction() {
    if (before_) return;
    run_.observer.OnNote(fmt::format("measuring production, {}, on today's test data", run_.production->substr(0, 10)));
    folder_ = run_.steps.store().OpenFolder(*run_.production);
    const ModelData data = run_.Data();
    before_ = TaskOf(run_.model).evaluate(folder_->path(), data.test, data, run_.num_threads, run_.stop);
  }

  GateMeasurement MeasureLatency(const Gate& gate, bool compared) {
    const auto value = [&](const TaskModel::Latency& latency) {
      return gate.figure.name == "latency_p50" ? latency.p50_ms : latency.p99_ms;
    };
    const auto measure = [&](std::map<size_t, TaskModel::Latency>& known, const std::string& folder) {
      const auto [entry, is_new] = known.try_emplace(gate.figure.num_tokens);
      if (is_new)
        entry->second = TaskOf(run_.model).open(folder, run_.Data(), run_.num_threads)->MeasureLatency(gate.figure.num_tokens, run_.stop);
      return entry->second;
    };
    // Both now and here: a figure of another processor, or of yesterday, is no measure for today's.
    const TaskModel::Latency now = measure(after_latency_, run_.ModelFolder());
    GateMeasurement measured = {.value = value(now)};
    measured.processor = now.processor;
    if (compared) measured.production = value(measure(before_latency_, folder_->path()));
    return measured;
  }

  bool IsMeasured(const GateFigure& figure) const {
    const std::vector<std::string>& labels = after_.figures.class_names;
    if (!figure.label.empty()) return std::find(labels.begin(), labels.end(), figure.label) != labels.end();
    return figure.name == "num_examples" || ValueOf(after_.figures, figure.name).has_value();
  }

  double ValueIn(const GateFigure& figure, const Figures& figures) const {
    if (figure.label.empty()) {
      if (figure.name == "num_examples") return static_cast<double>(figures.num_examples);
      if (const std::optional<double> value = ValueOf(figures, figure.name)) return *value;
      throw Error(ErrorCode::kInvalidInput,
                  figure.name == "loss" && TaskOf(run_.model).name == "text-classification"
                      ? fmt::format("{}: there is no loss: test texts have labels that the model does not know", run_.model.name)
                      : fmt::format("{}: gate '{}': these test data do not give it", run_.model.name, figure.name),
                  KnownNames(figure.name, NamesOf(figures)));
    }
    const ClassMetrics& label = Label(figure, figures);
    if (figure.name == "precision") return label.precision;
    if (figure.name == "recall") return label.recall;
    return figure.name == "f1" ? label.f1 : static_cast<double>(label.support);
  }

  const ClassMetrics& Label(const GateFigure& figure, const Figures& figures) const {
    const auto found = std::find(figures.class_names.begin(), figures.class_names.end(), figure.label);
    if (found == figures.class_names.end())
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: gate '{}': there is no {} '{}'", run_.model.name, figure.Text(), figures.class_title, figure.label),
                  KnownNames(figure.label, figures.class_names));
    return figures.per_class[static_cast<size_t>(found - figures.class_names.begin())];
  }

  std::optional<Interval> IntervalOf(const GateFigure& figure) const {
    if (figure.kind == FigureKind::kClassMetric) {
      const ClassMetrics& label = Label(figure, after_.figures);
      return figure.name == "precision" ? label.precision_interval : figure.name == "recall" ? label.recall_interval : label.f1_interval;
    }
    for (const Figure& each : after_.figures.figures)
      if (each.name == figure.name) return each.interval;
    return std::nullopt;
  }

  StepRun& run_;
  TaskEvaluation after_;
  std::optional<TaskEvaluation> before_;
  std::optional<RevisionFolder> folder_;
  std::map<size_t, TaskModel::Latency> after_latency_, before_latency_;
};

ordered_json OutcomeJson(const GateOutcome& outcome) {
  ordered_json json = {{"gate", outcome.gate}, {"passed", outcome.passed}, {"value", outcome.measured.value}, {"message", outcome.line}};
  if (outcome.measured.production) json["production"] = *outcome.measured.production;
  for (const auto& [name, interval] :
       {std::pair{"interval", outcome.measured.value_interval}, {"difference_interval", outcome.measured.difference_interval}})
    if (interval) json[name] = {interval->low, interval->high};
  if (!outcome.measured.processor.empty()) json["processor"] = outcome.measured.processor;
  return json;
}

void ExecuteGate(StepRun& run) {
  Measurer measurer(run);
  ordered_json outcomes = ordered_json::array();
  size_t num_refused = 0;
  for (const Gate& gate : run.model.gates) {
    const GateOutcome outcome = Decide(gate, measurer.Measure(gate));
    outcomes.push_back(OutcomeJson(outcome));
    if (outcome.passed) {  // of the others the refusal tells
      run.observer.OnNote(fmt::format("pass  {}: {}", outcome.gate, outcome.line));
      continue;
    }
    run.refusal += fmt::format("{}{}: {}", ++num_refused > 1 ? "; " : "", outcome.gate, outcome.line);
  }
  run.result = DumpJson(ordered_json({{"outcomes", outcomes}}));
  run.summary = fmt::format("{} of {} gates pass", run.model.gates.size() - num_refused, run.model.gates.size());
}

}  // namespace

const StepKind kGateStep = {"gate",   "decides by the gates whether the model may be published",
                            false,    [](const ModelConfig& model) { return !model.gates.empty(); },
                            DescribeGate, ExecuteGate};

}  // namespace mlac
