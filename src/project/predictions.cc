#include "project/predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "train/text_targets.h"

namespace mlac {

using nlohmann::json;

namespace {

constexpr size_t kMostPredictionBytes = size_t{1} << 30;

json IntervalJson(const Interval& interval) { return {interval.low, interval.high}; }
Interval ReadInterval(const json& value) { return {value.at(0), value.at(1)}; }
json OrNull(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json ToJson(const RowFigure& figure) {
  json out = {{"name", figure.name}, {"form", static_cast<int>(figure.form)}, {"num_units", figure.num_units}, {"a", figure.a}};
  if (!std::all_of(figure.b.begin(), figure.b.end(), [](double b) { return b == 1; })) out["b"] = figure.b;
  for (const auto& [name, numbers] : {std::pair{"units", &figure.units}, {"classes", &figure.classes}, {"rows", &figure.rows}})
    if (!numbers->empty()) out[name] = *numbers;
  return out;
}

// Throws kInvalidInput for numbers that do not fit together.
RowFigure ReadRowFigure(const json& value) {
  using Form = RowFigure::Form;
  RowFigure figure = {.name = value.at("name"), .num_units = value.at("num_units"), .a = value.at("a"), .b = {}};
  const int form = value.at("form");
  if (form < static_cast<int>(Form::kRatio) || form > static_cast<int>(Form::kAveragePrecision))
    throw Error(ErrorCode::kInvalidInput, fmt::format("there is no form {} of a figure", form));
  figure.form = static_cast<Form>(form);
  figure.b = value.contains("b") ? value.at("b").get<std::vector<double>>() : std::vector<double>(figure.a.size(), 1);
  for (const auto& [name, numbers] : {std::pair{"units", &figure.units}, {"classes", &figure.classes}, {"rows", &figure.rows}})
    if (value.contains(name)) *numbers = value.at(name).get<std::vector<uint32_t>>();
  const size_t num_entries = figure.form == Form::kMeanOfRatios ? figure.units.size() : figure.num_units;
  const bool fits = figure.a.size() == num_entries && figure.b.size() == num_entries &&
                    (figure.form != Form::kMeanOfRatios || figure.classes.size() == num_entries) &&
                    (figure.rows.empty() || figure.rows.size() == figure.num_units) &&
                    std::all_of(figure.units.begin(), figure.units.end(), [&](uint32_t unit) { return unit < figure.num_units; });
  if (!fits) throw Error(ErrorCode::kInvalidInput, fmt::format("the numbers of {} do not fit together", figure.name));
  return figure;
}

json FiguresToJson(const Figures& figures) {
  json list = json::array(), classes = json::array(), by_row = json::array();
  for (const RowFigure& figure : figures.by_row) by_row.push_back(ToJson(figure));
  for (const Figure& figure : figures.figures)
    list.push_back({{"name", figure.name},
                    {"title", figure.title},
                    {"value", figure.value},
                    {"interval", figure.interval ? IntervalJson(*figure.interval) : json(nullptr)},
                    {"of_mean", OrNull(figure.of_mean)}});
  for (size_t i = 0; i < figures.per_class.size(); ++i) {
    const ClassMetrics& c = figures.per_class[i];
    classes.push_back({{"name", figures.class_names[i]},
                       {"counts", {c.support, c.num_predicted, c.num_correct}},
                       {"precision", {c.precision, c.precision_interval.low, c.precision_interval.high}},
                       {"recall", {c.recall, c.recall_interval.low, c.recall_interval.high}},
                       {"f1", {c.f1, c.f1_interval.low, c.f1_interval.high}}});
  }
  return {{"figures", list},
          {"num_examples", figures.num_examples},
          {"loss", OrNull(figures.loss)},
          {"class_title", figures.class_title},
          {"per_class", classes},
          {"by_row", by_row}};
}

Figures ReadFigures(const json& value) {
  Figures figures;
  figures.num_examples = value.at("num_examples");
  if (value.at("loss").is_number()) figures.loss = value.at("loss").get<double>();
  figures.class_title = value.at("class_title");
  for (const json& entry : value.at("figures")) {
    Figure figure = {entry.at("name"), entry.at("title"), entry.at("value"), std::nullopt};
    if (!entry.at("interval").is_null()) figure.interval = ReadInterval(entry.at("interval"));
    if (entry.contains("of_mean") && entry.at("of_mean").is_number()) figure.of_mean = entry.at("of_mean").get<double>();
    figures.figures.push_back(std::move(figure));
  }
  for (const json& entry : value.at("per_class")) {
    ClassMetrics c;
    const auto read = [&](const char* name, double& point, Interval& interval) {
      const json& numbers = entry.at(name);
      point = numbers.at(0);
      interval = {numbers.at(1), numbers.at(2)};
    };
    read("precision", c.precision, c.precision_interval);
    read("recall", c.recall, c.recall_interval);
    read("f1", c.f1, c.f1_interval);
    c.support = entry.at("counts").at(0);
    c.num_predicted = entry.at("counts").at(1);
    c.num_correct = entry.at("counts").at(2);
    figures.class_names.push_back(entry.at("name"));
    figures.per_class.push_back(c);
  }
  for (const json& entry : value.value("by_row", json::array())) figures.by_row.push_back(ReadRowFigure(entry));
  return figures;
}

}  // namespace

void WritePredictions(const std::string& path, const TaskEvaluation& evaluation) {
  if (evaluation.truth.empty()) {
    json out = FiguresToJson(evaluation.figures);
    out["format_version"] = 1;
    out["metrics"] = evaluation.metrics_json;
    return WriteFileAtomically(path, DumpJson(out) + "\n");
  }
  const json out = {{"format_version", 1},
                    {"labels", evaluation.metrics.label_names},
                    {"num_unknown", evaluation.num_unknown},
                    {"loss", evaluation.metrics.loss ? json(*evaluation.metrics.loss) : json(nullptr)},
                    {"truth", evaluation.truth},
                    {"predicted", evaluation.predicted}};
  WriteFileAtomically(path, DumpJson(out) + "\n");
}

TaskEvaluation ReadPredictions(const std::string& path) {
  try {
    const json value = ReadJsonFile(path, kMostPredictionBytes);
    TaskEvaluation evaluation;
    if (value.contains("figures")) {
      evaluation.figures = ReadFigures(value);
      evaluation.metrics_json = value.at("metrics");
      return evaluation;
    }
    evaluation.truth = value.at("truth").get<std::vector<int32_t>>();
    evaluation.predicted = value.at("predicted").get<std::vector<int32_t>>();
    evaluation.num_unknown = value.at("num_unknown");
    evaluation.metrics = ComputeMetrics(evaluation.truth, evaluation.predicted, {}, value.at("labels").get<std::vector<std::string>>());
    if (value.at("loss").is_number()) evaluation.metrics.loss = value.at("loss").get<double>();
    evaluation.figures = ToFigures(evaluation.metrics);
    evaluation.metrics_json = MetricsJson(evaluation.metrics);
    return evaluation;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is no file of predictions", path), error.what());
  }
}

PairedPredictions Pair(const TaskEvaluation& before, const TaskEvaluation& after) {
  if (before.truth.size() != after.truth.size())
    throw Error(ErrorCode::kInternal, fmt::format("{} predictions are compared with {}", before.truth.size(), after.truth.size()));
  PairedPredictions pair = {after.metrics.label_names, after.truth, {}, after.predicted};
  std::map<std::string, int32_t> ids;
  for (size_t i = 0; i < pair.labels.size(); ++i) ids.emplace(pair.labels[i], static_cast<int32_t>(i));
  for (const int32_t label : before.predicted) {
    const std::string& name = before.metrics.label_names[static_cast<size_t>(label)];
    const auto [entry, is_new] = ids.emplace(name, static_cast<int32_t>(pair.labels.size()));
    if (is_new) pair.labels.push_back(name);
    pair.before.push_back(entry->second);
  }
  return pair;
}

std::optional<PairedDifference> CompareFigure(const TaskEvaluation& before, const TaskEvaluation& after, const std::string& metric) {
  if (metric == "loss") return std::nullopt;
  if (!after.truth.empty()) {
    const PairedPredictions pair = Pair(before, after);
    return ComparePredictions(pair.truth, pair.before, pair.after, pair.labels.size(), metric);
  }
  const RowFigure *first = FindByRow(before.figures, metric), *second = FindByRow(after.figures, metric);
  return first == nullptr || second == nullptr ? std::nullopt : CompareRowFigures(*first, *second);
}

}  // namespace mlac
