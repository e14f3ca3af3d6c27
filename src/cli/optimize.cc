// mlac optimize: a smaller and faster copy of a model, and what it costs.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/number_options.h"
#include "cli/store_access.h"
#include "models/model_folder.h"
#include "optimize/int8_card.h"
#include "optimize/int8_folder.h"
#include "optimize/trade_off.h"
#include "train/model_folder_writer.h"
#include "train/report_card.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

struct OptimizeOptions {
  std::string model, out, max_drop;
  bool int8 = false, overwrite = false, json = false;
  TradeOffOptions trade_off;
};

// "0.5%" and "0.5" are percentage points.
double ParsePoints(const std::string& text) {
  const std::optional<double> points = ParseNumber(text.ends_with('%') ? text.substr(0, text.size() - 1) : text);
  if (!points || !(*points >= 0 && *points <= 100))
    throw UsageError(fmt::format("--max-drop is '{}'; expected percentage points from 0 to 100, as '0.5%'", text));
  return *points;
}

// The model itself may be replaced by what was made from it.
void CheckNothingGivenIsReplaced(const OptimizeOptions& options) {
  const auto refuse = [&](const char* name, const std::string& path) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {} {} lies in it and would be replaced with it", options.out, name, path),
                "choose another --out");
  };
  if (LiesIn(options.trade_off.data, options.out)) refuse("--data", options.trade_off.data);
  if (LiesIn(options.model, options.out) && !LiesIn(options.out, options.model)) refuse("--model", options.model);
}

// What the card shows: all that changes the folder, and names of files without their paths.
std::string OptimizeCommand(const OptimizeOptions& options, const std::string& base_name) {
  std::string text = fmt::format("mlac optimize {} --int8 --out OUT", ShellQuoted(base_name));
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format(" {} {}", name, ShellQuoted(value));
  };
  const TradeOffOptions& trade_off = options.trade_off;
  add("--data", std::filesystem::path(trade_off.data).filename().string());
  add("--text-column", trade_off.text_column);
  add("--target-column", trade_off.target_column);
  add("--metric", trade_off.metric == TradeOffOptions{}.metric ? "" : trade_off.metric);
  add("--max-drop", options.max_drop);
  if (trade_off.max_length) add("--max-length", fmt::format("{}", *trade_off.max_length));
  return text;
}

// Why --max-drop, which is `given` as the user wrote it, says no; "" where it does not.
std::string RefusalOf(const TradeOff& result, double max_drop, const std::string& given) {
  if (!result.metric) return "";
  const PairedDifference& difference = result.metric->difference;
  const double drop = 100 * (difference.before - difference.after);
  // A drop of exactly the bound is not above it, whatever binary fractions make of the difference.
  if (drop <= max_drop + 1e-9) return "";
  return fmt::format("{} drops by {:.2f} percentage points on {}, from {:.4f} to {:.4f}; --max-drop allows {}", result.metric->metric, drop,
                     result.metric->data, difference.before, difference.after, given);
}

// What --json prints: what optimization.json holds, and whether there is such a file.
std::string WithRefusal(const std::string& trade_off, const std::string& refusal) {
  nlohmann::ordered_json out = ParseOrderedJson(trade_off, "trade-off");
  out["refused"] = !refusal.empty();
  if (!refusal.empty()) out["refusal"] = refusal;
  return DumpJson(out, 2) + "\n";
}

void Execute(OptimizeOptions options) {
  if (!options.int8) throw UsageError("nothing to do", "--int8 is what there is");
  if (!options.max_drop.empty() && options.trade_off.data.empty()) throw UsageError("--max-drop needs labelled texts: --data FILE");
  const double max_drop = options.max_drop.empty() ? 100 : ParsePoints(options.max_drop);
  const ModelFolder given = FindModel(options.model);
  const std::string base_name = CardName(given);
  options.model = given.path;
  if (options.overwrite) CheckNothingGivenIsReplaced(options);
  if (options.overwrite) CheckReplaceable(options.out);
  if (!options.max_drop.empty() && LabelNamesOf(options.model).empty())
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: --max-drop compares a classifier's figures; the model has no classification head", options.model));
  StagedFolder staged(options.out, options.overwrite);
  const Int8Summary summary = WriteInt8Folder(options.model, staged.path());
  fmt::print(stderr, "{} of {} tensors became int8; weights of {:.1f} MB instead of {:.1f} MB\n", summary.num_quantized, summary.num_tensors,
             static_cast<double>(summary.bytes_after) / 1e6, static_cast<double>(summary.bytes_before) / 1e6);
  options.trade_off.before = options.model;
  options.trade_off.after = staged.path();
  options.trade_off.on_stage = [](const std::string& stage) { fmt::print(stderr, "{}\n", stage); };
  const TradeOff result = MeasureTradeOff(options.trade_off);
  const std::string refusal = RefusalOf(result, max_drop, options.max_drop);
  fmt::print("{}", options.json ? WithRefusal(TradeOffJson(result), refusal) : TradeOffTable(result));
  if (!refusal.empty()) throw Refusal(refusal + ": nothing was written");
  WriteFileAtomically(staged.path() + "/optimization.json", TradeOffJson(result));
  WriteFileAtomically(staged.path() + "/" + kModelCardFile,
                      Int8CardMarkdown({options.model, base_name, OptimizeCommand(options, base_name), summary, result}));
  staged.Commit();
}

}  // namespace

void AddOptimize(Command app) {
  auto options = std::make_shared<OptimizeOptions>();
  TradeOffOptions& trade_off = options->trade_off;
  const Command command = app.AddCommand("optimize", "Make a model smaller and faster, and measure what that costs",
                                         "mlac optimize ./topics --int8 --out ./topics-int8 --data test.csv --max-drop 0.5%");
  command.AddOption("-m,--model,model", options->model, kModelHelp).Required().Type("DIR");
  command.AddFlag("--int8", options->int8, "Weights and activations of 8 bits: a quarter of the size");
  command.AddOption("--out", options->out, "The folder that is written").Required().Type("DIR");
  command.AddFlag("--overwrite", options->overwrite, kOverwriteHelp);
  command.AddOption("--data", trade_off.data, "Labelled texts to compare a classifier's answers on; texts to compare an encoder's vectors on")
      .Type("FILE");
  command.AddOption("--text-column", trade_off.text_column, "The column of texts; else as the model was trained, else text").Type("NAME");
  command.AddOption("--target-column", trade_off.target_column, "The column of labels; else as the model was trained, else label")
      .Type("NAME");
  command.AddOption("--metric", trade_off.metric, "What --max-drop looks at").OneOf({"accuracy", "macro_f1", "weighted_f1"}).ShowDefault();
  command.AddOption("--max-drop", options->max_drop, "Refuse what loses more percentage points of the metric than this").Type("POINTS");
  const Option lengths =
      command.AddOption("--lengths", trade_off.lengths, "Tokens of the texts whose latency is measured; the last is that of throughput");
  WholeNumber(lengths.Delimiter(',').Type("N,N").DefaultText("16,128, or what the model takes"), 1);
  WholeNumber(command
                  .AddOption("--max-length", options->trade_off.max_length,
                             "Tokens a text may have, longer ones are cut; else the model's own limit")
                  .Type("N"),
              1);
  AddThreadsOption(command, trade_off.num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
