#include "project/published_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <set>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "base/json.h"
#include "project/config.h"
#include "project/fine_tuned_task.h"
#include "train/report_card.h"
#include "train/report_svg.h"
#include "train/training_notes.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr size_t kMostTrainingBytes = size_t{64} << 20;

ModelCard CardOf(const PublishedParts& parts, const ordered_json& training, const FineTuneResult& result) {
  ModelCard card;
  if (TaskOf(parts.config).labels_texts) {
    card.metrics = &result.metrics;
    card.label_names = result.metrics.label_names;
    card.text_column = parts.data.text_column;
    card.label_column = parts.data.target_column;
    if (!parts.data.text_pair_column.empty()) SetPairColumn(card, parts.data.text_pair_column);
  } else {
    card = CardOfTrained(parts.config, parts.data, parts.trained, result);
  }
  card.base_model = training.at("base_model");
  card.findings = parts.findings;
  card.notes = NotesOnAnswers(result.metrics, result.figures);
  for (const auto& note : training.value("notes", ordered_json::array())) card.notes.push_back(note.get<std::string>());
  card.measured_on = "test";
  card.command = training.at("command");
  card.mlac_version = training.at("mlac_version");
  for (const auto& part : training.at("data")) card.parts.push_back({part.at("name"), part.at("source"), part.at("num_rows")});
  card.parts.push_back({"test", parts.test_source, result.figures.num_examples});
  for (const auto& [name, value] : training.at("parameters").items()) {
    card.parameters.emplace_back(name, value.get<std::string>());
    if (name == "max length") card.max_length = std::stoull(value.get<std::string>());
  }
  if (parts.config.optimize.int8) card.parameters.emplace_back("weights", "int8");
  return card;
}

}  // namespace

void WritePublishedFolder(const PublishedParts& parts, const std::string& out) {
  static const std::set<std::string> kWrittenAnew = {kModelCardFile, kMetricsFile, kConfusionMatrixFile, kLearningCurvesFile,
                                                     kTrainingFile};
  for (const FolderEntry& entry : EntriesIn(parts.model)) {
    if (kWrittenAnew.contains(entry.path)) continue;
    if (entry.is_folder) fs::create_directories(out + "/" + entry.path);
    if (entry.is_file) fs::copy_file(parts.model + "/" + entry.path, out + "/" + entry.path);
  }
  for (const char* name : {kTrainingFile, kLearningCurvesFile}) fs::copy_file(parts.trained + "/" + name, out + "/" + name);
  FineTuneResult result;
  result.figures = parts.evaluation.figures;
  result.metrics = parts.evaluation.metrics;
  try {
    // The ordered form keeps the parameters as the card of `mlac train` shows them.
    const ordered_json training = ParseOrderedJsonOrDiscard(ReadFile(parts.trained + "/" + kTrainingFile, kMostTrainingBytes));
    WriteFileAtomically(out + "/" + kModelCardFile, ModelCardMarkdown(CardOf(parts, training, result)));
  } catch (const std::exception& error) {
    if (dynamic_cast<const Error*>(&error) != nullptr || dynamic_cast<const std::bad_alloc*>(&error) != nullptr) throw;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}/{}: is no record of a training", parts.trained, kTrainingFile), error.what());
  }
  WriteFileAtomically(out + "/" + kMetricsFile, parts.evaluation.metrics_json);
  if (TaskOf(parts.config).labels_texts)
    WriteFileAtomically(out + "/" + kConfusionMatrixFile, ConfusionMatrixSvg(parts.evaluation.metrics));
}

}  // namespace mlac
