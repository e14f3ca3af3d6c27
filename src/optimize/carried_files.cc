#include "optimize/carried_files.h"

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "train/report_card.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestFile = size_t{1} << 30;

// What stands beside the weights and stays true of the copy.
bool IsCarriedOver(const std::string& name) {
  static const std::vector<std::string> kLeftOut = {"config.json", "metrics.json", "training.json", "optimization.json",
                                                    "model.safetensors.index.json"};
  for (const std::string& left_out : kLeftOut)
    if (name == left_out) return false;
  const std::string extension = fs::path(name).extension().string();
  return extension == ".json" || extension == ".txt" || extension == ".md" || extension == ".model" || extension == ".jinja" ||
         name == "LICENSE";
}

}  // namespace

void CopyFiles(const std::string& from, const std::string& to, std::string_view left_out) {
  for (const std::string& name : NamesIn(from))
    if (name != left_out && IsCarriedOver(name) && FileExists(from + "/" + name))  // a link must bring nothing from elsewhere into what may be published
      WriteFileAtomically(to + "/" + name, ReadFile(OpenBeneath(from, name), from + "/" + name, kLargestFile));
}

void CopyTrainingRecord(const std::string& from, const std::string& to) {
  const std::string path = from + "/" + kTrainingFile;
  if (!FileExists(path)) return;
  nlohmann::ordered_json record = ParseOrderedJsonOrDiscard(ReadFile(path, kLargestFile));
  if (!record.is_object() || record.value("format_version", nlohmann::ordered_json()) != kTrainingFormat) return;
  for (const char* measured : {"epochs", "best_epoch", "evaluated_on", "identity"}) record.erase(measured);
  WriteFileAtomically(to + "/" + kTrainingFile, DumpJson(record, 2) + "\n");
}

}  // namespace mlac
