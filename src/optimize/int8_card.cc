#include "optimize/int8_card.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/build_info.h"
#include "base/display.h"
#include "base/file.h"
#include "base/utf8.h"
#include "models/model_folder.h"
#include "train/figures.h"
#include "train/report_card.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

constexpr size_t kLargestCard = size_t{1} << 20;  // a longer one is none that a person wrote

// What the base's own card says and this one keeps.
struct BaseCard {
  std::string metadata;      // lines of YAML: licence and languages, whole
  std::string license;       // the Hub's id of it, or ""
  std::string pipeline_tag;  // or ""
  std::string data;          // below the title "Data" of a card that mlac wrote
  std::string run;           // the `mlac run` of such a card
};

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

// The value of "key: value" without its quotes, where it is a plain word: "apache-2.0".
std::string WordBehind(const std::string& line, const std::string& key) {
  std::string value = line.substr(key.size());
  std::erase_if(value, [](char c) { return c == ' ' || c == '"' || c == '\''; });
  constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return value.find_first_not_of(kWord) == std::string::npos ? value : "";
}

// The metadata between the two lines "---"; gives the number of the line behind them, 0 without metadata.
size_t ReadMetadata(const std::vector<std::string>& lines, BaseCard& card) {
  if (lines.empty() || lines[0] != "---") return 0;
  size_t end = 1;
  while (end < lines.size() && lines[end] != "---") ++end;
  if (end == lines.size()) return 0;
  bool kept = false;
  for (size_t i = 1; i < end; ++i) {
    const std::string& line = lines[i];
    const bool continues = line.empty() || line[0] == ' ' || line[0] == '-' || line[0] == '#';
    if (!continues) kept = false;
    for (const char* key : {"license:", "license_name:", "license_link:", "language:"})
      kept = kept || (!continues && line.starts_with(key));
    if (kept) card.metadata += line + '\n';
    if (line.starts_with("license:")) card.license = WordBehind(line, "license:");
    if (line.starts_with("pipeline_tag:")) card.pipeline_tag = WordBehind(line, "pipeline_tag:");
  }
  return end + 1;
}

// Of a card that mlac wrote.
void ReadSections(const std::vector<std::string>& lines, size_t begin, BaseCard& card) {
  bool in_data = false;
  for (size_t i = begin; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (line.starts_with("## "))
      in_data = line == "## Data";
    else if (in_data && line.find("![") == std::string::npos)
      card.data += line + '\n';
    if (card.run.empty() && line.starts_with("mlac run ") && line.find(" -m . ") != std::string::npos) card.run = line;
  }
}

BaseCard ReadBaseCard(const std::string& base) {
  BaseCard card;
  const std::string path = base + "/" + kModelCardFile;
  std::error_code error;
  if (!FileExists(path) || std::filesystem::file_size(path, error) > kLargestCard || error) return card;
  const std::string text = ReadFile(path, kLargestCard);
  if (FindInvalidUtf8(text) != std::string::npos) return card;
  const std::vector<std::string> lines = LinesOf(text);
  const size_t begin = ReadMetadata(lines, card);
  if (FileExists(base + "/" + kTrainingFile)) ReadSections(lines, begin, card);
  return card;
}

std::string TaskOfHead(const Model& model, const std::string& base) {
  switch (model.head()) {
    case Head::kSequenceClassification:
      return LabelNamesOf(base).size() == 1 && ProblemTypeNameOf(base).empty() ? "text-ranking" : "text-classification";
    case Head::kTokenClassification:
      return "token-classification";
    case Head::kQuestionAnswering:
      return "question-answering";
    case Head::kMaskedLanguageModel:
      return "fill-mask";
    case Head::kNone:
      break;
  }
  return "sentence-similarity";
}

std::string Megabytes(size_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

// Only where labels were there to measure these weights on.
std::string ModelIndex(const std::string& task, const MetricChange& metric) {
  const std::string ending = std::filesystem::path(metric.data).extension().string();
  const bool is_f1 = metric.metric != "accuracy";
  std::string out = fmt::format(
      "metrics:\n- {0}\nmodel-index:\n- name: {1}\n  results:\n  - task:\n      type: {1}\n    dataset:\n      name: {2}\n      type: {3}\n"
      "    metrics:\n    - type: {0}\n      value: {4:.4f}\n      name: {5}\n",
      is_f1 ? "f1" : metric.metric, task, QuoteYaml(metric.data), QuoteYaml(ending.size() > 1 ? ending.substr(1) : "text"),
      metric.difference.after, QuoteYaml(FigureTitle(metric.metric)));
  if (is_f1) out += fmt::format("      args:\n        average: {}\n", metric.metric.substr(0, metric.metric.find('_')));
  return out;
}

std::string Metadata(const Int8Card& card, const BaseCard& base, const std::string& task) {
  std::string out = fmt::format("---\n{}library_name: mlac\npipeline_tag: {}\nbase_model: {}\nbase_model_relation: quantized\n",
                                base.metadata, task, QuoteYaml(card.base_name));
  if (card.trade_off.metric) out += ModelIndex(task, *card.trade_off.metric);
  return out + "---\n";
}

std::string Introduction(const Int8Card& card, const BaseCard& base) {
  const std::string name = EscapeMarkdown(card.base_name);
  std::string out = fmt::format(
      "\n# {0} in int8\n\nA copy of {0} by mlac: {1} of {2} tensors (the weights of linear layers and the embedding tables) have 8 bits a "
      "number, in the format "
      "int-quantized of compressed-tensors; heads, biases and normalisations are those of {0}. Activations are rounded to 8 bits while it "
      "computes.",
      name, card.weights.num_quantized, card.weights.num_tensors);
  const std::vector<std::string> labels = LabelNamesOf(card.base);
  constexpr size_t kMostNamed = 30, kShownLabel = 60;
  if (!labels.empty() && labels.size() <= kMostNamed) {
    out += "\n\nLabels, as of the base: ";
    for (size_t i = 0; i < labels.size(); ++i)
      out += fmt::format("{}{}", i == 0 ? "" : i + 1 == labels.size() ? " and " : ", ", EscapeMarkdown(Printable(labels[i], kShownLabel)));
    out += ".";
  }
  if (!base.license.empty()) out += fmt::format("\n\nLicence, as of the base: {}.", EscapeMarkdown(base.license));
  return out + fmt::format("\n\n## Size\n\n| | {} | int8 |\n| --- | ---: | ---: |\n| weights | {} | {} |\n", name,
                           Megabytes(card.weights.bytes_before), Megabytes(card.weights.bytes_after));
}

// An interval of samples of rows has no width where no row differs. A share of rows that n of them did not show may be, at 95 %, 1 -
// 0.05^(1/n).
std::string WhatNoDifferenceMeans(size_t num_examples) {
  return fmt::format("No text became right or wrong, which says little of a change that meets fewer than {:.1f} % of texts.\n",
                     100 * (1 - std::pow(0.05, 1 / static_cast<double>(num_examples))));
}

std::string MetricSection(const Int8Card& card, const MetricChange& metric) {
  const PairedDifference& d = metric.difference;
  std::string out = fmt::format("Measured on {}, {} texts.\n\n| | {} | int8 |\n| --- | ---: | ---: |\n| {} | {:.4f} | {:.4f} |\n\n",
                                EscapeMarkdown(metric.data), metric.num_examples, EscapeMarkdown(card.base_name),
                                FigureTitle(metric.metric), d.before, d.after);
  out += fmt::format("It changes by {:+.2f} percentage points (95 % interval {:+.2f} to {:+.2f}).\n", 100 * (d.after - d.before),
                     100 * d.interval.low, 100 * d.interval.high);
  if (d.interval.low == 0 && d.interval.high == 0 && metric.num_examples > 0) out += WhatNoDifferenceMeans(metric.num_examples);
  return out;
}

std::string Cost(const Int8Card& card) {
  std::string out = "\n## What it costs\n\n";
  if (card.trade_off.metric) {
    out += MetricSection(card, *card.trade_off.metric);
  } else if (card.trade_off.embedding) {
    const EmbeddingChange& change = *card.trade_off.embedding;
    out += fmt::format(
        "Measured on {}, {} texts: the cosine of a text's vector here with that of {} is {:.5f} on average and {:.5f} at the lowest. What "
        "that does to a search or "
        "another use is not measured.\n",
        EscapeMarkdown(change.data), change.num_texts, EscapeMarkdown(card.base_name), change.mean_cosine, change.lowest_cosine);
  } else {
    out +=
        "Not measured: how often its answers differ from those of the base is not known. `mlac optimize --int8 --data FILE` compares the "
        "two, and\n"
        "`mlac eval . --data FILE` measures this one.\n";
  }
  return out +
         "\nFigures in the card of the base are of the weights of the base. Times depend on the processor: optimization.json has those of "
         "the machine that made this\n"
         "folder.\n";
}

std::string Usage(const BaseCard& base, const std::string& task) {
  std::string run = base.run;
  if (run.empty() && task == "question-answering")
    run = "mlac run question-answering -m . --question \"your question here\" \"your text here\"";
  if (run.empty() && task == "text-ranking")
    run = "mlac run text-ranking -m . --query \"your query here\" \"your text here\" \"another text\"";
  if (run.empty() && task == "sentence-similarity") run = "mlac run sentence-similarity -m . \"your text here\" \"another text\"";
  if (run.empty() && task == "fill-mask") run = "mlac run fill-mask -m . \"your text with a [MASK] here\"";
  if (run.empty() && task.ends_with("-classification")) run = fmt::format("mlac run {} -m . \"your text here\"", task);
  return "\n## How to use it\n\nIn this folder, with mlac:\n\n" +
         CodeBlock("sh", run + (run.empty() ? "" : "\n") + "mlac serve . --port 8080");
}

std::string Data(const BaseCard& base, const std::string& name) {
  if (base.data.empty()) return "";
  std::string rows = base.data;
  while (rows.starts_with('\n')) rows.erase(0, 1);
  while (rows.ends_with("\n\n")) rows.pop_back();
  return fmt::format("\n## Data of the base\n\nWhat the card of {} says of the data that it learnt from:\n\n{}", EscapeMarkdown(name),
                     rows);
}

}  // namespace

std::string Int8CardMarkdown(const Int8Card& card) {
  const BaseCard base = ReadBaseCard(card.base);
  const std::unique_ptr<const Model> model = OpenModel(card.base);
  const std::string task = base.pipeline_tag.empty() ? TaskOfHead(*model, card.base) : base.pipeline_tag;
  std::string out = Metadata(card, base, task) + Introduction(card, base) + Cost(card) + Usage(base, task) + Data(base, card.base_name);
  return out + "\n## How it was made\n\n" + CodeBlock("sh", card.command) +
         fmt::format("\nMade by mlac {}. The same base, options and version give the same weights, byte for byte.\n",
                     EscapeMarkdown(GetBuildInfo().version));
}

}  // namespace mlac
