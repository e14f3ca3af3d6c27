#include "optimize/int8_card.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/build_info.h"
#include "models/model_folder.h"
#include "optimize/carried_card.h"
#include "train/figures.h"
#include "train/interval_note.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

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

std::string Metadata(const Int8Card& card, const CarriedCard& base, const std::string& task) {
  std::string out = fmt::format("---\n{}library_name: mlac\npipeline_tag: {}\nbase_model: {}\nbase_model_relation: quantized\n",
                                base.metadata, task, QuoteYaml(card.base_name));
  if (card.trade_off.metric) out += ModelIndex(task, *card.trade_off.metric);
  return out + "---\n";
}

std::string Introduction(const Int8Card& card, const CarriedCard& base) {
  const std::string name = EscapeMarkdown(card.base_name);
  std::string out = fmt::format(
      "\n# {0} in int8\n\nA copy of {0} by mlac: {1} of {2} tensors (the weights of linear layers and the embedding tables) have 8 bits a "
      "number, in the format "
      "int-quantized of compressed-tensors; heads, biases and normalisations are those of {0}. Activations are rounded to 8 bits while it "
      "computes.",
      name, card.weights.num_quantized, card.weights.num_tensors);
  if (const std::string labels = LabelList(LabelNamesOf(card.base)); !labels.empty())
    out += fmt::format("\n\nLabels, as of the base: {}.", labels);
  if (!base.license.empty()) out += fmt::format("\n\nLicence, as of the base: {}.", EscapeMarkdown(base.license));
  return out + fmt::format("\n\n## Size\n\n| | {} | int8 |\n| --- | ---: | ---: |\n| weights | {} | {} |\n", name,
                           Megabytes(card.weights.bytes_before), Megabytes(card.weights.bytes_after));
}

std::string WhatNoDifferenceMeans(size_t num_examples) {
  return fmt::format("No text became right or wrong, which says little of a change that meets fewer than {:.1f} % of texts.\n",
                     MostThatWereNotSeen(num_examples));
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

}  // namespace

std::string Int8CardMarkdown(const Int8Card& card) {
  const CarriedCard base = ReadCard(card.base);
  const std::string task = base.pipeline_tag.empty() ? TaskOfFolder(card.base) : base.pipeline_tag;
  std::string out = Metadata(card, base, task) + Introduction(card, base) + Cost(card) + UsageSection(base, task) +
                    DataSection("Data of the base", card.base_name, base);
  return out + "\n## How it was made\n\n" + CodeBlock("sh", card.command) +
         fmt::format("\nMade by mlac {}. The same base, options and version give the same weights, byte for byte.\n",
                     EscapeMarkdown(GetBuildInfo().version));
}

}  // namespace mlac
