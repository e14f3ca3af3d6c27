#include "train/checkpoint.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/system_call.h"
#include "tensor/safetensors.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr int kFormat = 3;
constexpr char kState[] = "state.json", kTraining[] = "training.safetensors", kBest[] = "best.safetensors";
constexpr char kSums[] = "SHA256SUMS";  // as sha256sum writes it, so that `sha256sum -c` checks a checkpoint, too
constexpr size_t kLargestState = size_t{1} << 30, kLargestSums = 4096;
constexpr size_t kShown = 16;  // characters of a value in a message: enough of a hash to see that it differs
constexpr char kMoment1[] = "moment1.", kMoment2[] = "moment2.";

json EpochJson(const EpochReport& epoch) {
  json out = {{"epoch", epoch.epoch}, {"step", epoch.step}, {"train_loss", epoch.train_loss}};
  if (epoch.has_validation)
    out.update({{"validation_loss", epoch.validation.loss},
                {"figures", epoch.validation.figures},
                {"score", epoch.validation.score},
                {"score_is_telling", epoch.validation.is_telling},
                {"best", epoch.best}});
  return out;
}

EpochReport EpochFromJson(const json& in) {
  EpochReport epoch = {.epoch = in.at("epoch"), .step = in.at("step"), .train_loss = in.at("train_loss")};
  epoch.has_validation = in.contains("validation_loss");
  if (epoch.has_validation) {
    epoch.validation = {in.at("validation_loss"), in.at("figures"), in.at("score"), in.at("score_is_telling")};
    epoch.best = in.at("best");
  }
  return epoch;
}

void CheckIdentity(const std::map<std::string, std::string>& expected, const json& found, const std::string& folder) {
  for (const auto& [name, value] : expected) {
    const std::string other = found.value(name, "absent");
    if (other != value)
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: the checkpoint is of a run with {} {}; now it is {}", folder, name, other.substr(0, kShown), value.substr(0, kShown)),
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

std::string In(const std::string& folder, const char* name) { return folder + "/" + name; }

std::string SumsOf(const std::string& folder) {
  std::string sums;
  for (const char* name : {kBest, kState, kTraining}) {
    if (!FileExists(In(folder, name))) continue;
    const MappedFile file(In(folder, name));
    Sha256 hash;
    hash.Add(file.bytes());
    sums += fmt::format("{}  {}\n", hash.Finish(), name);
  }
  return sums;
}

json ReadState(const std::string& folder) {
  const std::string path = In(folder, kState);
  json document = ReadJsonFile(path, kLargestState);
  // First of all: another version may keep its sums, or anything, otherwise.
  if (!document.is_object() || !document.contains("format_version")) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: there is no format_version", path));
  if (document["format_version"] != kFormat)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: format_version is {}; this mlac reads {}", path, DumpJson(document["format_version"]), kFormat),
                "resume with the mlac that wrote it, or begin anew with --overwrite");
  return document;
}

// The folder above a checkpoint, if it is made for it: gone again unless Keep() is called.
class FolderAbove {
 public:
  explicit FolderAbove(const std::string& folder) : path_(std::filesystem::path(folder).parent_path()) {
    std::error_code error;
    made_ = !path_.empty() && std::filesystem::create_directory(path_, error);
    if (error) throw Error(ErrorCode::kIo, fmt::format("{}: cannot create: {}", path_.string(), error.message()));
  }
  FolderAbove(const FolderAbove&) = delete;
  FolderAbove& operator=(const FolderAbove&) = delete;
  ~FolderAbove() {
    std::error_code ignored;
    if (made_) std::filesystem::remove(path_, ignored);  // which leaves a folder that is not empty
  }
  void Keep() {
    if (made_) SyncFolder(path_.string() + "/..");
    made_ = false;
  }

 private:
  std::filesystem::path path_;
  bool made_;
};

}  // namespace

void WriteCheckpoint(const std::string& folder, const std::map<std::string, std::string>& identity, const TrainingState& state, Optimizer& optimizer,
                     const std::vector<Tensor>& best, bool best_is_saved) {
  FolderAbove above(folder);
  StagedFolder staged(folder, /*overwrite=*/true);
  json epochs = json::array();
  for (const EpochReport& epoch : state.epochs) epochs.push_back(EpochJson(epoch));
  const json document = {{"format_version", kFormat},
                         {"step", state.step},
                         {"num_steps", state.num_steps},
                         {"step_losses", state.step_losses},
                         {"epochs", epochs},
                         {"best_epoch", state.best_epoch},
                         {"stopped_early", state.stopped_early},
                         {"identity", identity}};
  WriteFileAtomically(In(staged.path(), kState), DumpJson(document, 1) + "\n");
  std::vector<NamedTensor> tensors;
  for (const Optimizer::Slot& slot : optimizer.slots()) {
    tensors.push_back({slot.parameter->name, slot.parameter->value});
    tensors.push_back({kMoment1 + slot.parameter->name, slot.moment1()});
    tensors.push_back({kMoment2 + slot.parameter->name, slot.moment2()});
  }
  WriteSafetensors(In(staged.path(), kTraining), tensors);
  if (!best.empty()) {
    std::error_code not_linked;
    if (best_is_saved) std::filesystem::create_hard_link(In(folder, kBest), In(staged.path(), kBest), not_linked);
    if (!best_is_saved || not_linked) {
      tensors.clear();
      for (size_t i = 0; i < best.size(); ++i) tensors.push_back({optimizer.slots()[i].parameter->name, best[i]});
      WriteSafetensors(In(staged.path(), kBest), tensors);
    }
  }
  WriteFileAtomically(In(staged.path(), kSums), SumsOf(staged.path()));
  staged.Commit();
  above.Keep();
}

TrainingState ReadCheckpoint(const std::string& folder, const std::map<std::string, std::string>& identity, Optimizer& optimizer,
                             std::vector<Tensor>& best) {
  if (!FolderExists(folder)) throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no checkpoint to resume from", folder));
  const json document = ReadState(folder);
  if (ReadFile(In(folder, kSums), kLargestSums) != SumsOf(folder))
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the checkpoint is damaged: its files are not those of {}", folder, kSums),
                "begin anew with --overwrite");
  TrainingState state;
  try {
    CheckIdentity(identity, document.at("identity"), folder);
    state = {.step = document.at("step"),
             .num_steps = document.at("num_steps"),
             .step_losses = document.at("step_losses"),
             .epochs = {},
             .best_epoch = document.at("best_epoch"),
             .stopped_early = document.at("stopped_early")};
    for (const json& epoch : document.at("epochs")) state.epochs.push_back(EpochFromJson(epoch));
    if (state.best_epoch > state.epochs.size())
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: best_epoch is {}, epochs are {}", folder, state.best_epoch, state.epochs.size()));
    if (state.step_losses.size() != state.step)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: step is {}, step_losses are {}", folder, state.step, state.step_losses.size()));
  } catch (const json::exception& exception) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", In(folder, kState), exception.what()));
  }
  const SafetensorsFile training = OpenSafetensors(In(folder, kTraining));
  for (Optimizer::Slot& slot : optimizer.slots()) {
    const std::string& name = slot.parameter->name;
    const Shape& shape = slot.parameter->value.shape();
    slot.SetMoments(ReadTensor(training, kMoment1 + name, shape), ReadTensor(training, kMoment2 + name, shape));
    slot.parameter->value = ReadTensor(training, name, shape);
  }
  best.clear();
  if (FileExists(In(folder, kBest))) {
    const SafetensorsFile file = OpenSafetensors(In(folder, kBest));
    for (const Optimizer::Slot& slot : optimizer.slots()) best.push_back(ReadTensor(file, slot.parameter->name, slot.parameter->value.shape()));
  }
  return state;
}

std::optional<CheckpointProgress> LookAtCheckpoint(const std::string& folder) {
  try {
    const json document = ReadState(folder);
    return CheckpointProgress{document.at("step"), document.at("num_steps")};
  } catch (const Error&) {
  } catch (const json::exception&) {
  }
  return std::nullopt;
}

}  // namespace mlac
