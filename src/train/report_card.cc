#include "train/report_card.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <numeric>

#include "base/display.h"
#include "train/interval_note.h"
#include "train/report_escape.h"
#include "train/report_text.h"

namespace mlac {
namespace {

constexpr size_t kShownLabel = 60;  // columns of a label in a table

std::string Label(const std::string& name) {
  const std::string shown = EscapeMarkdown(Printable(name, kShownLabel));
  return shown.empty() ? "(empty)" : shown;
}

const CardPart* FindPart(const ModelCard& card, const std::string& name) {
  const auto part = std::find_if(card.parts.begin(), card.parts.end(), [&](const CardPart& p) { return p.name == name; });
  return part == card.parts.end() ? nullptr : &*part;
}

// The head of model-index, up to the list of metrics.
std::string MeasuredResult(const ModelCard& card, const std::string& task_title) {
  const CardPart* part = FindPart(card, card.measured_on);
  const std::string source = part == nullptr ? card.measured_on : part->source;
  const std::string ending = std::filesystem::path(source).extension().string();
  return fmt::format(
      "model-index:\n- name: {0}\n  results:\n  - task:\n      type: {0}\n      name: {1}\n    dataset:\n      name: {2}\n      type: {3}\n"
      "      split: {4}\n    metrics:\n",
      card.task, task_title, QuoteYaml(source), QuoteYaml(ending.size() > 1 ? ending.substr(1) : "text"), QuoteYaml(card.measured_on));
}

// The Hub's metadata: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
std::string FrontMatter(const ModelCard& card) {
  std::string out = "---\n";
  const auto write = std::back_inserter(out);
  if (!card.license.empty()) fmt::format_to(write, "license: {}\n", QuoteYaml(card.license));
  fmt::format_to(write, "library_name: {}\npipeline_tag: {}\n", card.is_adapter ? "peft" : "mlac", card.task);
  if (!card.base_model.empty()) fmt::format_to(write, "base_model: {}\n", QuoteYaml(card.base_model));
  if (card.is_adapter) out += "base_model_relation: adapter\n";
  if (card.metrics != nullptr) {
    out += "metrics:\n- accuracy\n- f1\n" + MeasuredResult(card, "Text classification");
    fmt::format_to(write, "    - type: accuracy\n      value: {:.4f}\n      name: Accuracy\n", card.metrics->accuracy);
    fmt::format_to(write, "    - type: f1\n      value: {:.4f}\n      name: Macro F1\n      args:\n        average: macro\n",
                   card.metrics->macro_f1);
    fmt::format_to(write, "    - type: f1\n      value: {:.4f}\n      name: Weighted F1\n      args:\n        average: weighted\n",
                   card.metrics->weighted_f1);
  }
  if (card.figures != nullptr) {
    out += "metrics:\n";
    for (const Figure& figure : card.figures->figures) fmt::format_to(write, "- {}\n", figure.name);
    out += MeasuredResult(card, card.title);
    for (const Figure& figure : card.figures->figures)
      if (std::isfinite(figure.value))
        fmt::format_to(write, "    - type: {}\n      value: {:.4f}\n      name: {}\n", figure.name, figure.value, QuoteYaml(figure.title));
  }
  return out + "---\n";
}

// " (0.564 to 0.712)"; "" without width, where the one of accuracy beside it says how sure both are.
std::string ShownInterval(const Interval& interval) {
  return HasNoWidth(interval) ? "" : fmt::format(" ({:.3f} to {:.3f})", interval.low, interval.high);
}

std::string Introduction(const ModelCard& card) {
  std::string out =
      card.title.empty() ? fmt::format("\n# Text classifier of {} labels\n\n", card.label_names.size()) : "\n# " + card.title + "\n\n";
  const auto write = std::back_inserter(out);
  out += card.title.empty() ? card.reads_pairs ? "Gives a pair of texts one label" : "Gives a text one label" : card.introduction;
  constexpr size_t kMostNamed = 30;
  if (card.label_names.size() <= kMostNamed && !out.ends_with('.')) {
    for (size_t i = 0; i < card.label_names.size(); ++i)
      fmt::format_to(write, "{}{}", i == 0 ? ": " : i + 1 == card.label_names.size() ? " or " : ", ", Label(card.label_names[i]));
  }
  if (!out.ends_with('.')) out += ".";
  if (!card.base_model.empty()) fmt::format_to(write, " Fine-tuned from {} by mlac.", EscapeMarkdown(card.base_model));
  if (card.max_length > 0 && !card.reads_whole_texts)
    fmt::format_to(write, " Reads {} {} tokens of a {}.", card.reads_pairs ? "at most" : "the first", card.max_length,
                   card.reads_pairs ? "pair" : "text");
  if (card.metrics != nullptr) {
    const LargestClass largest = FindLargestClass(*card.metrics);
    fmt::format_to(write,
                   "\n\nOn {} {} examples: accuracy {:.3f} (95 % interval {:.3f} to {:.3f}), macro F1 {:.3f}{}. Always "
                   "answering {} would reach an accuracy of {:.3f}.",
                   card.metrics->num_examples, EscapeMarkdown(card.measured_on), card.metrics->accuracy,
                   card.metrics->accuracy_interval.low, card.metrics->accuracy_interval.high, card.metrics->macro_f1,
                   ShownInterval(card.metrics->macro_f1_interval), Label(card.metrics->label_names[largest.label]), largest.share);
  }
  return out + "\n";
}

// An adapter is opened together with its base.
std::string AdapterUsage(const ModelCard& card) {
  const std::string base = card.base_model.empty() ? "BASE" : card.base_model;
  return "\n## How to use it\n\nThis folder is an adapter: it needs the model that it was made for.\n\n" +
         CodeBlock("sh", fmt::format("mlac run {} -m {} --adapter . {}{}\nmlac merge -m {} --adapter . --out MERGED", card.task, base, card.arguments,
                                     card.usage_options, base)) +
         "\nWith PEFT, put it over the model of transformers that has its head: `PeftModel.from_pretrained(model, \".\")`.\n";
}

std::string Usage(const ModelCard& card) {
  if (card.is_adapter) return AdapterUsage(card);
  const std::string with_mlac =
      "\n## How to use it\n\nIn this folder, with mlac:\n\n" +
      CodeBlock("sh", fmt::format("mlac run {} -m . {}{}\nmlac serve . --port 8080", card.task, card.arguments, card.usage_options)) +
      fmt::format("\nWith {}:\n\n", card.python_library);
  if (!card.usage_python.empty()) return with_mlac + CodeBlock("python", card.usage_python);
  if (!card.title.empty())
    return with_mlac + CodeBlock("python", fmt::format("from transformers import pipeline\n\nask = pipeline(\"{}\", model=\".\")\n"
                                                       "print(ask({}))",
                                                       card.task, card.python_arguments));
  return with_mlac + CodeBlock("python", fmt::format("from transformers import pipeline\n\n"
                                                     "classify = pipeline(\"text-classification\", model=\".\")\n"
                                                     "print(classify({}, top_k=3, truncation=True))",
                                                     card.python_arguments));
}

std::string Data(const ModelCard& card) {
  std::string out = "\n## Data\n\n| part | file | rows |\n| --- | --- | ---: |\n";
  const auto write = std::back_inserter(out);
  for (const CardPart& part : card.parts)
    fmt::format_to(write, "| {} | {} | {} |\n", EscapeMarkdown(part.name), EscapeMarkdown(part.source), part.num_rows);
  if (!card.columns.empty())
    fmt::format_to(write, "\n{}\n", EscapeMarkdown(card.columns));
  else if (!card.text_column.empty())
    fmt::format_to(write, "\nTexts from the column {}{}{}.\n", Label(card.text_column),
                   card.pair_column.empty() ? "" : ", read together with those from " + Label(card.pair_column),
                   card.label_column.empty() ? "" : fmt::format(", {} from {}", card.gives_numbers ? "numbers" : "labels", Label(card.label_column)));
  if (card.findings.empty()) return out + "\nThe check of the data found nothing to remark.\n";
  out += "\nThe check of the data found:\n\n";
  for (const Finding& finding : card.findings)
    fmt::format_to(write, "- {}: {}\n", finding.severity == Severity::kWarning ? "warning" : "note", EscapeMarkdown(finding.message));
  return out;
}

std::string ShownFigure(double value, const Interval& interval, bool is_known) {
  return is_known ? fmt::format("{:.3f} ({:.3f} to {:.3f})", value, interval.low, interval.high) : "";
}

std::string ClassTable(const ClassificationMetrics& metrics) {
  // Above this many, the labels with most examples: the rest stands in metrics.json.
  constexpr size_t kMostRows = 200;
  std::vector<size_t> rows(metrics.per_class.size());
  std::iota(rows.begin(), rows.end(), size_t{0});
  if (rows.size() > kMostRows) {
    std::stable_sort(rows.begin(), rows.end(),
                     [&](size_t a, size_t b) { return metrics.per_class[a].support > metrics.per_class[b].support; });
    rows.resize(kMostRows);
    std::sort(rows.begin(), rows.end());
  }
  std::string out = "| label | precision | recall | F1 | examples |\n| --- | --- | --- | --- | ---: |\n";
  const auto write = std::back_inserter(out);
  for (const size_t label : rows) {
    const ClassMetrics& c = metrics.per_class[label];
    fmt::format_to(write, "| {} | {} | {} | {} | {} |\n", Label(metrics.label_names[label]),
                   ShownFigure(c.precision, c.precision_interval, c.num_predicted > 0),
                   ShownFigure(c.recall, c.recall_interval, c.support > 0),
                   ShownFigure(c.f1, c.f1_interval, c.support + c.num_predicted > 0), c.support);
  }
  if (rows.size() < metrics.per_class.size())
    fmt::format_to(write, "\nThe {} labels with most examples of {}; all stand in {}.\n", rows.size(), metrics.per_class.size(),
                   kMetricsFile);
  return out;
}

std::string ConfusionTable(const ClassificationMetrics& metrics) {
  constexpr size_t kMostLabels = 12;
  const SmallConfusion small = Condense(metrics, kMostLabels);
  std::vector<std::string> names;
  for (const int32_t label : small.labels) names.push_back(Label(metrics.label_names[static_cast<size_t>(label)]));
  if (small.num_others > 0) names.push_back(fmt::format("others ({})", small.num_others));
  std::string out = "| true \\\\ predicted |", rule = "| --- |";
  for (const std::string& name : names) {
    out += " " + name + " |";
    rule += " ---: |";
  }
  out += "\n" + rule + "\n";
  for (size_t row = 0; row < names.size(); ++row) {
    out += "| " + names[row] + " |";
    for (const uint64_t count : small.counts[row]) out += fmt::format(" {} |", count);
    out += "\n";
  }
  const std::vector<ConfusionCell> mix_ups = MixUps(metrics, 5);
  if (mix_ups.empty()) return out;
  out += "\nMost frequent mix-ups:\n\n";
  for (const ConfusionCell& cell : mix_ups)
    out += fmt::format("- {} taken for {}: {}\n", Label(metrics.label_names[static_cast<size_t>(cell.truth)]),
                       Label(metrics.label_names[static_cast<size_t>(cell.predicted)]), cell.count);
  return out;
}

// "Always answering the mean would have a mean squared error of 2.120 and a mean absolute error of 1.290."
std::string OfMean(const Figures& figures) {
  std::string out;
  for (const Figure& figure : figures.figures)
    if (figure.of_mean)
      out +=
          fmt::format("{} a {} of {:.3f}", out.empty() ? "\nAlways answering the mean would have" : " and", figure.title, *figure.of_mean);
  return out.empty() ? out : out + ".\n";
}

// Of a task whose examples have no single label.
std::string FigureTables(const ModelCard& card) {
  const Figures& figures = *card.figures;
  const bool has_accuracy =
      std::any_of(figures.figures.begin(), figures.figures.end(), [](const Figure& figure) { return figure.name == "accuracy"; });
  std::string out = fmt::format("\n## Metrics\n\nMeasured on {}, {} examples. Intervals are at 95 %, of 1,000 bootstrap samples{}.\n\n",
                                EscapeMarkdown(card.measured_on), figures.num_examples,
                                !figures.per_class.empty() ? "; of precision and recall Wilson's"
                                : has_accuracy             ? "; of accuracy Wilson's"
                                                           : "");
  const auto write = std::back_inserter(out);
  if (const std::string note = NoteOnIntervals(figures); !note.empty()) out += note + "\n\n";
  out += "| figure | value |\n| --- | --- |\n";
  for (const Figure& figure : figures.figures)
    fmt::format_to(write, "| {} | {:.3f}{} |\n", figure.title, figure.value,
                   figure.interval ? fmt::format(" ({:.3f} to {:.3f})", figure.interval->low, figure.interval->high) : "");
  out += OfMean(figures);
  if (!figures.per_class.empty()) {
    fmt::format_to(write, "\n| {} | precision | recall | F1 | examples |\n| --- | --- | --- | --- | ---: |\n", figures.class_title);
    for (size_t i = 0; i < figures.per_class.size(); ++i) {
      const ClassMetrics& c = figures.per_class[i];
      fmt::format_to(write, "| {} | {} | {} | {} | {} |\n", Label(figures.class_names[i]),
                     ShownFigure(c.precision, c.precision_interval, c.num_predicted > 0),
                     ShownFigure(c.recall, c.recall_interval, c.support > 0),
                     ShownFigure(c.f1, c.f1_interval, c.support + c.num_predicted > 0), c.support);
    }
  }
  return out + fmt::format("\n### Learning curves\n\n![Learning curves]({})\n", kLearningCurvesFile);
}

std::string MetricsSection(const ModelCard& card) {
  if (card.figures != nullptr) return FigureTables(card);
  if (card.metrics == nullptr)
    return fmt::format(
        "\n## Metrics\n\nNothing was set aside to measure on: how good this model is, is not known.\n\n![Learning curves]({})\n",
        kLearningCurvesFile);
  std::string out = fmt::format(
      "\n## Metrics\n\nMeasured on {}. Intervals are at 95 %: Wilson's for precision and recall, 1,000 bootstrap samples for F1.\n\n",
      EscapeMarkdown(card.measured_on));
  if (const std::string note = NoteOnIntervals(*card.metrics); !note.empty()) out += note + "\n\n";
  out += ClassTable(*card.metrics);
  out += fmt::format("\n### Confusion matrix\n\n![Confusion matrix]({})\n\n", kConfusionMatrixFile);
  out += ConfusionTable(*card.metrics);
  return out + fmt::format("\n### Learning curves\n\n![Learning curves]({})\n", kLearningCurvesFile);
}

std::string Notes(const ModelCard& card) {
  std::string out;
  for (const std::string& note : card.notes)
    out += fmt::format("{}- {}\n", out.empty() ? "\n## Notes on this training\n\n" : "", EscapeMarkdown(note));
  return out;
}

std::string Training(const ModelCard& card) {
  std::string out = "\n## Training\n\n";
  if (!card.command.empty()) out += CodeBlock("sh", card.command) + "\n";
  out += "| parameter | value |\n| --- | --- |\n";
  for (const auto& [name, value] : card.parameters) out += fmt::format("| {} | {} |\n", EscapeMarkdown(name), EscapeMarkdown(value));
  return out + fmt::format("\nMade by mlac {}. The same data, parameters and version give the same files, byte for byte.\n",
                           EscapeMarkdown(card.mlac_version));
}

}  // namespace

void SetPairColumn(ModelCard& card, const std::string& pair_column) {
  card.pair_column = pair_column;
  card.reads_pairs = true;
  card.arguments += " --text-pair \"your second text here\"";
  card.python_arguments = R"({"text": "your text here", "text_pair": "your second text here"})";
}

std::string ModelCardMarkdown(const ModelCard& card) {
  return FrontMatter(card) + Introduction(card) + Usage(card) + Data(card) + MetricsSection(card) + Notes(card) + Training(card);
}

}  // namespace mlac
