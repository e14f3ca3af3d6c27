#include "train/training_record.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

}  // namespace

json EpochJson(const EpochReport& epoch) {
  json out = {{"epoch", epoch.epoch}, {"step", epoch.step}, {"train_loss", epoch.train_loss}};
  if (epoch.has_validation)
    out.update({{"validation_loss", epoch.validation_loss}, {"accuracy", epoch.accuracy}, {"macro_f1", epoch.macro_f1}, {"best", epoch.best}});
  return out;
}

EpochReport EpochFromJson(const json& in) {
  EpochReport epoch = {.epoch = in.at("epoch"), .step = in.at("step"), .train_loss = in.at("train_loss")};
  epoch.has_validation = in.contains("validation_loss");
  if (epoch.has_validation) {
    epoch.validation_loss = in.at("validation_loss");
    epoch.accuracy = in.at("accuracy");
    epoch.macro_f1 = in.at("macro_f1");
    epoch.best = in.at("best");
  }
  return epoch;
}

std::string TrainingRecord(const std::map<std::string, std::string>& identity, const TrainingResult& result) {
  json epochs = json::array();
  for (const EpochReport& epoch : result.epochs) epochs.push_back(EpochJson(epoch));
  const json record = {{"format_version", kFormat}, {"identity", identity}, {"best_epoch", result.best_epoch}, {"epochs", epochs},
                       {"step_losses", result.step_losses}};
  return record.dump(1) + "\n";
}

std::optional<TrainingResult> FindTrainingRecord(const std::string& path, const std::map<std::string, std::string>& identity) {
  if (!FileExists(path)) return std::nullopt;
  try {
    const json record = ReadJsonFile(path, size_t{1} << 30);
    if (record.at("format_version") != kFormat || record.at("identity") != json(identity)) return std::nullopt;
    TrainingResult result = {record.at("step_losses"), {}, record.at("best_epoch")};
    for (const json& epoch : record.at("epochs")) result.epochs.push_back(EpochFromJson(epoch));
    return result;
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return std::nullopt;
  }
}

}  // namespace mlac
