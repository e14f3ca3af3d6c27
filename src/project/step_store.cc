#include "project/step_store.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/system_call.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr char kRecordFile[] = "step.json";
constexpr size_t kKeyLength = 40;
constexpr size_t kMostRecordBytes = size_t{256} << 20;

constexpr std::string_view kKindNames[] = {"parameter", "file", "step", "version"};

std::string RecordJson(const StepRecord& record) {
  ordered_json inputs = ordered_json::array();
  for (const StepInput& input : record.inputs)
    inputs.push_back(
        {{"name", input.name}, {"kind", kKindNames[static_cast<size_t>(input.kind)]}, {"value", input.value}, {"shown", input.shown}});
  const ordered_json out = {
      {"format_version", kFormat}, {"step", record.step}, {"model", record.model},     {"key", record.key},
      {"inputs", inputs},          {"time", record.time}, {"seconds", record.seconds}, {"result", ordered_json::parse(record.result)}};
  return out.dump() + "\n";
}

StepRecord ParseRecordJson(const json& value) {
  StepRecord record = {.step = value.at("step"),
                       .model = value.at("model"),
                       .key = value.at("key"),
                       .inputs = {},
                       .time = value.at("time"),
                       .seconds = value.at("seconds"),
                       .result = value.at("result").dump()};
  for (const json& input : value.at("inputs")) {
    const std::string kind = input.at("kind");
    for (size_t k = 0; k < std::size(kKindNames); ++k)
      if (kKindNames[k] == kind)
        record.inputs.push_back({input.at("name"), static_cast<StepInput::Kind>(k), input.at("value"), input.at("shown")});
  }
  return record;
}

}  // namespace

std::string StepKey(std::string_view step, const std::vector<StepInput>& inputs) {
  Sha256 hash;
  hash.AddField(step);
  for (const StepInput& input : inputs) {
    hash.AddField(input.name);
    hash.AddField(kKindNames[static_cast<size_t>(input.kind)]);
    hash.AddField(input.value);
  }
  return hash.Finish().substr(0, kKeyLength);
}

std::string StepStore::OutputFolder(const std::string& key) const { return fmt::format("{}/steps/{}/output", store_.folder(), key); }
std::string StepStore::WorkFolder(const std::string& key) const { return fmt::format("{}/work/{}", store_.folder(), key); }

std::optional<StepRecord> StepStore::Find(const std::string& key) const {
  if (!IsRevision(key)) return std::nullopt;  // the same form; a key stands in files, too, and becomes a path here
  const std::string path = fmt::format("{}/steps/{}/{}", store_.folder(), key, kRecordFile);
  if (!FileExists(path)) return std::nullopt;
  try {
    StepRecord record = ParseRecordJson(ReadJsonFile(path, kMostRecordBytes));
    if (record.key == key && StepKey(record.step, record.inputs) == key) return record;
  } catch (const json::exception&) {
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
  }
  return std::nullopt;
}

void StepStore::RemoveWork(const std::string& key) const { RemoveAll(WorkFolder(key)); }

void StepStore::MakeWork(const std::string& key) const {
  fs::create_directories(WorkFolder(key) + "/output");
  for (const std::string& folder : {WorkFolder(key), store_.Part("work"), store_.folder()}) SyncFolder(folder);
}

void StepStore::Commit(const StepRecord& record) const {
  const std::string work = WorkFolder(record.key), place = store_.Part("steps") + "/" + record.key;
  WriteFileAtomically(work + "/" + kRecordFile, RecordJson(record));
  SyncTree(work);
  RemoveAll(place);  // a damaged one
  if (rename(work.c_str(), place.c_str()) != 0) ThrowSystem("cannot create", place, errno);
  SyncFolder(store_.folder() + "/steps");
  SyncFolder(store_.folder());  // where steps may be new
}

std::map<std::string, std::string> StepStore::LastKeys(const std::string& model) const {
  const std::string path = fmt::format("{}/last-steps/{}.json", store_.folder(), model);
  std::map<std::string, std::string> keys;
  if (!FileExists(path)) return keys;
  try {
    const json value = ReadJsonFile(path);
    for (const auto& [step, key] : value.items()) keys[step] = key.get<std::string>();
  } catch (const json::exception&) {
    keys.clear();  // changes are then told as if it were the first time
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
  }
  return keys;
}

void StepStore::SetLastKey(const std::string& model, const std::string& step, const std::string& key) const {
  std::map<std::string, std::string> keys = LastKeys(model);
  if (keys[step] == key) return;
  keys[step] = key;
  WriteFileAtomically(fmt::format("{}/{}.json", store_.Part("last-steps"), model), json(keys).dump() + "\n");
}

void StepStore::RemoveWorkExcept(const std::vector<std::string>& keep) const {
  const std::string folder = store_.folder() + "/work";
  if (!FolderExists(folder)) return;
  const std::set<std::string> kept(keep.begin(), keep.end());
  for (const std::string& name : NamesIn(folder))
    if (!kept.contains(name)) RemoveAll(folder + "/" + name);
}

uint64_t StepStore::RemoveUnneeded(bool dry_run) const {
  std::set<std::string> needed;
  if (FolderExists(store_.folder() + "/last-steps")) {
    for (const std::string& name : NamesIn(store_.folder() + "/last-steps"))
      if (name.ends_with(".json"))
        for (const auto& [step, key] : LastKeys(name.substr(0, name.size() - 5))) needed.insert(key);
  }
  uint64_t bytes = 0;
  const std::string folder = store_.folder() + "/steps";
  if (!FolderExists(folder)) return 0;
  for (const std::string& name : NamesIn(folder)) {
    if (needed.contains(name)) continue;
    for (const FolderEntry& entry : EntriesIn(folder + "/" + name)) bytes += entry.size;
    if (!dry_run) RemoveAll(folder + "/" + name);
  }
  return bytes;
}

}  // namespace mlac
