#include "optimize/merged_card.h"

#include <fmt/format.h>

#include "base/build_info.h"
#include "models/model_folder.h"
#include "optimize/carried_card.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

// The Hub calls a merged adapter a fine-tuned model; its "merge" is one of several models.
std::string Metadata(const MergedCard& card, const CarriedCard& base, const CarriedCard& adapter, const std::string& task) {
  return fmt::format("---\n{}library_name: mlac\npipeline_tag: {}\nbase_model: {}\nbase_model_relation: finetune\n---\n",
                     base.metadata.empty() ? adapter.metadata : base.metadata, task, QuoteYaml(card.base_name));
}

std::string Licences(const CarriedCard& base, const CarriedCard& adapter) {
  std::string out;
  if (!base.license.empty()) out += fmt::format("\n\nLicence, as of the base: {}.", EscapeMarkdown(base.license));
  if (!adapter.license.empty() && adapter.license != base.license)
    out += fmt::format("\n\nLicence, as of the adapter: {}.", EscapeMarkdown(adapter.license));
  return out;
}

std::string Introduction(const MergedCard& card) {
  std::string out = fmt::format(
      "\n# {0} with {1}\n\nThe model {0} and its adapter {1}, merged by mlac into one model that needs no adapter: each weight W of an "
      "adapted layer became W + scale B A. Weights are F32.",
      EscapeMarkdown(card.base_name), EscapeMarkdown(card.adapter_name));
  if (const std::string labels = LabelList(LabelNamesOf(card.merged)); !labels.empty())
    out += fmt::format("\n\nLabels, as of the adapter: {}.", labels);
  return out;
}

std::string Adapter(const MergedCard& card) {
  const MergeSummary& summary = card.summary;
  return fmt::format(
      "\n\n## The adapter\n\n| | |\n| --- | --- |\n| base | {} |\n| adapter | {} |\n| rank | {} |\n| alpha | {} |\n| adapted layers | {} "
      "|\n| parameters of the adapter and its head | {} |\n",
      EscapeMarkdown(card.base_name), EscapeMarkdown(card.adapter_name), summary.rank, summary.alpha, summary.num_layers,
      summary.num_parameters);
}

constexpr char kMeasured[] =
    "\n## What it gives\n\nNot measured of these weights. They answer as the model with the adapter does, but for the rounding of the sums; "
    "figures in the cards of the two\nare of those. `mlac eval . --data FILE` measures this one.\n";

}  // namespace

std::string MergedCardMarkdown(const MergedCard& card) {
  const CarriedCard base = ReadCard(card.base), adapter = ReadCard(card.adapter);
  const std::string task = adapter.pipeline_tag.empty() ? TaskOfFolder(card.merged) : adapter.pipeline_tag;
  return Metadata(card, base, adapter, task) + Introduction(card) + Licences(base, adapter) + Adapter(card) + kMeasured +
         UsageSection(adapter, task) + DataSection("Data of the adapter", card.adapter_name, adapter) + "\n## How it was made\n\n" +
         CodeBlock("sh", card.command) +
         fmt::format("\nMade by mlac {}. The same base, adapter and version give the same weights, byte for byte.\n",
                     EscapeMarkdown(GetBuildInfo().version));
}

}  // namespace mlac
