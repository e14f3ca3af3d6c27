// split: a part of the training data becomes the test data.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "data/split.h"
#include "project/step_data.h"

namespace mlac {
namespace {

StepDescription DescribeSplit(const StepScope& scope) {
  StepDescription step = DescribeDataStep(scope);
  step.inputs.push_back(scope.Parameter("data.split.test", fmt::format("{}", scope.model.data.test_split)));
  step.inputs.push_back(scope.Parameter("data.split.seed", fmt::format("{}", scope.model.data.split_seed)));
  return step;
}

void ExecuteSplit(StepRun& run) {
  const PreparedRows rows = ReadTrainRows(run, "split");
  LabelledTexts texts;  // as SplitStratified takes them
  std::map<std::string, int32_t> ids;
  for (const PreparedRow& row : rows.rows) {
    texts.texts.push_back(row.Group());
    const auto [entry, is_new] = ids.emplace(row.label, static_cast<int32_t>(ids.size()));
    if (is_new) texts.label_names.push_back(row.label);
    texts.labels.push_back(entry->second);
    texts.lines.push_back(texts.lines.size() + 2);
  }
  const SplitRows split = SplitStratified(texts, run.model.data.test_split, run.model.data.split_seed);
  if (split.validation.empty())
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("models.{}.data.split: no row of {} can be set aside", run.model.name, rows.rows.size()),
                "every label keeps a text for training, and equal texts stay together");
  const auto select = [&](const std::vector<size_t>& numbers) {
    PreparedRows part = {.head = rows.head, .rows = {}};
    for (const size_t number : numbers) part.rows.push_back(rows.rows[number]);
    return part;
  };
  WriteRows(run.output + "/" + PreparedFile(run.model, "test"), select(split.validation));
  WriteRows(run.output + "/" + PreparedFile(run.model, "train"), select(split.train));
  run.result = DumpJson(nlohmann::json({{"num_train", split.train.size()}, {"num_test", split.validation.size()}}));
  run.summary = fmt::format("{} rows to train, {} to test", split.train.size(), split.validation.size());
}

}  // namespace

const StepKind kSplitStep = {"split",  "sets rows of the training data aside as test data",
                             false,    [](const ModelConfig& model) { return model.data.test_split > 0; },
                             DescribeSplit, ExecuteSplit};

}  // namespace mlac
