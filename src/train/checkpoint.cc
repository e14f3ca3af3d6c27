#include "train/checkpoint.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tensor/safetensors.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr char kState[] = "/state.json", kTraining[] = "/training.safetensors", kBest[] = "/best.safetensors";
constexpr char kMoment1[] = "moment1.", kMoment2[] = "moment2.";

json ToJson(const EpochReport& epoch) {
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

void CheckIdentity(const std::map<std::string, std::string>& expected, const json& found, const std::string& folder) {
  for (const auto& [name, value] : expected) {
    const std::string other = found.value(name, "absent");
    if (other != value)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the checkpoint is of a run with {} {}; now it is {}", folder, name, other, value),
                  "resume with what it was started with, or begin anew with --overwrite");
  }
}

Tensor ReadTensor(const SafetensorsFile& file, const std::string& name, const Shape& shape) {
  const Tensor tensor = file.Get(name);
  if (tensor.shape() != shape || tensor.dtype() != DType::kF32)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor '{}' is {} {}; expected F32 {}", file.name(), name, Name(tensor.dtype()),
                                                      ToString(tensor.shape()), ToString(shape)));
  return Tensor::FromValues(shape, tensor.floats());
}

SafetensorsFile OpenSafetensors(const std::string& path) { return SafetensorsFile(std::make_shared<const MappedFile>(path)); }

}  // namespace

void WriteCheckpoint(const std::string& folder, const std::map<std::string, std::string>& identity, const TrainingState& state, Optimizer& optimizer,
                     const std::vector<Tensor>& best, bool best_is_saved) {
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path());
  StagedFolder staged(folder, /*overwrite=*/true);
  json epochs = json::array();
  for (const EpochReport& epoch : state.epochs) epochs.push_back(ToJson(epoch));
  const json document = {{"format_version", kFormat},          {"step", state.step},
                         {"step_losses", state.step_losses},   {"epochs", epochs},
                         {"best_epoch", state.best_epoch},     {"best_score", state.best_score},
                         {"stopped_early", state.stopped_early}, {"identity", identity}};
  WriteFileAtomically(staged.path() + kState, document.dump(1) + "\n");
  std::vector<NamedTensor> tensors;
  for (const Optimizer::Slot& slot : optimizer.slots()) {
    tensors.push_back({slot.parameter->name, slot.parameter->value});
    tensors.push_back({kMoment1 + slot.parameter->name, slot.moment1});
    tensors.push_back({kMoment2 + slot.parameter->name, slot.moment2});
  }
  WriteSafetensors(staged.path() + kTraining, tensors);
  if (!best.empty()) {
    std::error_code not_linked;
    if (best_is_saved) std::filesystem::create_hard_link(folder + kBest, staged.path() + kBest, not_linked);
    if (!best_is_saved || not_linked) {
      tensors.clear();
      for (size_t i = 0; i < best.size(); ++i) tensors.push_back({optimizer.slots()[i].parameter->name, best[i]});
      WriteSafetensors(staged.path() + kBest, tensors);
    }
  }
  staged.Commit();
}

TrainingState ReadCheckpoint(const std::string& folder, const std::map<std::string, std::string>& identity, Optimizer& optimizer,
                             std::vector<Tensor>& best) {
  if (!FolderExists(folder)) throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no checkpoint to resume from", folder));
  const std::string path = folder + kState;
  const json document = ReadJsonFile(path);
  TrainingState state;
  try {
    if (document.at("format_version") != kFormat)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: format_version is {}; this mlac reads {}", path, document.at("format_version").dump(), kFormat));
    CheckIdentity(identity, document.at("identity"), folder);
    state = {.step = document.at("step"), .step_losses = document.at("step_losses"), .epochs = {}, .best_epoch = document.at("best_epoch"),
             .best_score = document.at("best_score"), .stopped_early = document.at("stopped_early")};
    for (const json& epoch : document.at("epochs")) state.epochs.push_back(EpochFromJson(epoch));
    if (state.step_losses.size() != state.step)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: step is {}, step_losses are {}", path, state.step, state.step_losses.size()));
  } catch (const json::exception& exception) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", path, exception.what()));
  }
  const SafetensorsFile training = OpenSafetensors(folder + kTraining);
  for (Optimizer::Slot& slot : optimizer.slots()) {
    const std::string& name = slot.parameter->name;
    const Shape& shape = slot.parameter->value.shape();
    slot.moment1 = ReadTensor(training, kMoment1 + name, shape);
    slot.moment2 = ReadTensor(training, kMoment2 + name, shape);
    slot.parameter->value = ReadTensor(training, name, shape);
  }
  best.clear();
  if (FileExists(folder + kBest)) {
    const SafetensorsFile file = OpenSafetensors(folder + kBest);
    for (const Optimizer::Slot& slot : optimizer.slots()) best.push_back(ReadTensor(file, slot.parameter->name, slot.parameter->value.shape()));
  }
  return state;
}

}  // namespace mlac
