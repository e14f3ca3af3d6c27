#include "project/step_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/system_call.h"
#include "hub/scan.h"
#include "hub/seal.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kFormat = 2;
constexpr char kRecordFile[] = "step.json", kLastKeysEnding[] = ".json", kRefusalEnding[] = ".refused", kProjectEnding[] = ".project",
               kOwedEnding[] = ".owed";
constexpr size_t kKeyLength = 40;
constexpr size_t kMostRecordBytes = size_t{256} << 20;

constexpr std::string_view kKindNames[] = {"parameter", "file", "step", "version", "revision", "model"};

std::string RecordJson(const StepRecord& record) {
  ordered_json inputs = ordered_json::array();
  for (const StepInput& input : record.inputs)
    inputs.push_back(
        {{"name", input.name}, {"kind", kKindNames[static_cast<size_t>(input.kind)]}, {"value", input.value}, {"shown", input.shown}});
  const ordered_json out = {
      {"format_version", kFormat}, {"step", record.step}, {"model", record.model},     {"key", record.key},
      {"inputs", inputs},          {"time", record.time}, {"seconds", record.seconds}, {"result", ParseOrderedJson(record.result, "result")},
      {"output", record.output}};
  return Sealed(out, SealForm::kLine);
}

StepRecord ParseRecordJson(const ordered_json& value) {
  StepRecord record = {.step = value.at("step"),
                       .model = value.at("model"),
                       .key = value.at("key"),
                       .inputs = {},
                       .time = value.at("time"),
                       .seconds = value.at("seconds"),
                       .result = DumpJson(value.at("result")),
                       .output = value.at("output")};
  for (const ordered_json& input : value.at("inputs")) {
    const std::string kind = input.at("kind");
    for (size_t k = 0; k < std::size(kKindNames); ++k)
      if (kKindNames[k] == kind)
        record.inputs.push_back({input.at("name"), static_cast<StepInput::Kind>(k), input.at("value"), input.at("shown")});
  }
  return record;
}

std::string LastStepsPath(const Store& store, const std::string& model, const char* ending) {
  return fmt::format("{}/last-steps/{}{}", store.folder(), model, ending);
}

bool IsSealedLine(const std::string& path) {
  try {
    Unsealed(ReadFile(path, kMostRecordBytes), SealForm::kLine, path);
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput && error.code() != ErrorCode::kNotFound) throw;
    return !FileExists(path);  // taken away meanwhile
  }
}

// The keys of the last steps by step; nothing for a damaged file.
std::optional<std::map<std::string, std::string>> ReadLastKeys(const std::string& path) {
  try {
    return Unsealed(ReadFile(path, kMostRecordBytes), SealForm::kLine, path).get<std::map<std::string, std::string>>();
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return std::nullopt;
  }
}

// The revision of all files of a folder; "" where there are none.
std::string RevisionOfFiles(const std::string& folder) {
  const std::vector<FolderEntry> entries = EntriesIn(folder);
  const bool has_files = std::any_of(entries.begin(), entries.end(), [](const FolderEntry& entry) { return !entry.is_folder; });
  return has_files ? Scan(folder).Revision() : "";
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
    StepRecord record = ParseRecordJson(Unsealed(ReadFile(path, kMostRecordBytes), SealForm::kLine, path));
    if (record.key == key && StepKey(record.step, record.inputs) == key) return record;
  } catch (const json::exception&) {
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
  }
  return std::nullopt;
}

bool StepStore::IsWhole(const StepRecord& record) const {
  try {
    return RevisionOfFiles(OutputFolder(record.key)) == record.output;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kResourceExhausted) throw;
    return false;  // a file that is no longer there or cannot be read, a link in its place
  }
}

void StepStore::Remove(const std::string& key) const { RemoveAll(Folder(key)); }

std::vector<Damage> StepStore::FindDamages(const std::function<void(size_t, size_t)>& on_step) const {
  std::vector<Damage> damages;
  const auto names_in = [&](const std::string& folder) {
    return FolderExists(store_.folder() + folder) ? NamesIn(store_.folder() + folder) : std::vector<std::string>();
  };
  // What the disk refuses to give is damage, and no end of the search for more.
  const auto readable = [](const auto& read) -> decltype(read()) {
    try {
      return read();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kResourceExhausted) throw;
      return {};
    }
  };
  const std::vector<std::string> keys = names_in("/steps");
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::optional<StepRecord> record = readable([&] { return Find(keys[i]); });
    const bool is_whole = record && IsWhole(*record);
    // One that is gone by now was taken away meanwhile.
    if (!is_whole && FolderExists(fmt::format("{}/steps/{}", store_.folder(), keys[i])))
      damages.push_back(record
                            ? Damage{fmt::format("steps/{}/output", keys[i]),
                                     fmt::format("is not what the step '{}' wrote; it runs again when its result is needed", record->step),
                                     {record->model}}
                            : Damage{fmt::format("steps/{}/{}", keys[i], kRecordFile),
                                     "is damaged or missing; the step runs again when its result is needed"});
    if (on_step) on_step(i + 1, keys.size());
  }
  // What is noted beside them, and what its damage leads to.
  constexpr std::pair<const char*, const char*> kNotes[] = {
      {kLastKeysEnding, "is damaged; the next plan tells changes as if it were the first"},
      {kRefusalEnding, "is damaged; the next plan does not tell of the last refusal"},
      {kProjectEnding, "is damaged; 'mlac gc' keeps all results of the model until it is applied again"},
      {kOwedEnding, "is damaged; the report that is owed is written without a model to compare with"}};
  for (const char* folder : {"last-steps", "reports"})
    for (const std::string& name : names_in(fmt::format("/{}", folder)))
      for (const auto& [ending, message] : kNotes)
        if (name.ends_with(ending) && !readable([&] { return IsSealedLine(fmt::format("{}/{}/{}", store_.folder(), folder, name)); }))
          damages.push_back({fmt::format("{}/{}", folder, name), message, {}});
  return damages;
}

void StepStore::RemoveWork(const std::string& key) const { RemoveAll(WorkFolder(key)); }

void StepStore::MakeWork(const std::string& key) const {
  fs::create_directories(WorkFolder(key) + "/output");
  for (const std::string& folder : {WorkFolder(key), store_.Part("work"), store_.folder()}) SyncFolder(folder);
}

void StepStore::Commit(StepRecord record) const {
  const std::string work = WorkFolder(record.key), place = store_.Part("steps") + "/" + record.key;
  record.output = RevisionOfFiles(work + "/output");
  WriteFileAtomically(work + "/" + kRecordFile, RecordJson(record));
  SyncTree(work);
  RemoveAll(place);  // a damaged one
  if (rename(work.c_str(), place.c_str()) != 0) ThrowSystem("cannot create", place, errno);
  SyncFolder(store_.folder() + "/steps");
  SyncFolder(store_.folder());  // where steps may be new
}

std::string StepStore::PublishedRevision(const std::string& key) const {
  const std::optional<StepRecord> record = Find(key);
  if (!record) return "";
  const std::string revision = ParseJson(record->result, "result").value("revision", "");
  return store_.Has(revision) ? revision : "";
}

std::map<std::string, std::string> StepStore::LastKeys(const std::string& model) const {
  const std::string path = LastStepsPath(store_, model, kLastKeysEnding);
  // Without them, or with damaged ones, changes are told as if it were the first time.
  return FileExists(path) ? ReadLastKeys(path).value_or(std::map<std::string, std::string>()) : std::map<std::string, std::string>();
}

void StepStore::SetLastKey(const std::string& model, const std::string& step, const std::string& key) const {
  std::map<std::string, std::string> keys = LastKeys(model);
  if (keys[step] == key) return;
  keys[step] = key;
  WriteFileAtomically(fmt::format("{}/{}{}", store_.Part("last-steps"), model, kLastKeysEnding),
                      Sealed(ordered_json(keys), SealForm::kLine));
}

std::optional<StepRefusal> StepStore::LastRefusal(const std::string& model) const {
  const std::string path = LastStepsPath(store_, model, kRefusalEnding);
  if (!FileExists(path)) return std::nullopt;
  try {
    const ordered_json refusal = Unsealed(ReadFile(path, kMostRecordBytes), SealForm::kLine, path);
    return StepRefusal{refusal.at("step"), refusal.at("key"), refusal.at("message"), refusal.at("time")};
  } catch (const json::exception&) {
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
  }
  return std::nullopt;
}

void StepStore::SetLastRefusal(const std::string& model, const StepRefusal& refusal) const {
  WriteFileAtomically(
      fmt::format("{}/{}{}", store_.Part("last-steps"), model, kRefusalEnding),
      Sealed({{"step", refusal.step}, {"key", refusal.key}, {"message", refusal.message}, {"time", refusal.time}}, SealForm::kLine));
}

void StepStore::RemoveWorkExcept(const std::vector<std::string>& keep) const {
  const std::string folder = store_.folder() + "/work";
  if (!FolderExists(folder)) return;
  const std::set<std::string> kept(keep.begin(), keep.end());
  for (const std::string& name : NamesIn(folder))
    if (!kept.contains(name)) RemoveAll(folder + "/" + name);
}

std::vector<std::string> StepStore::Keys() const {
  const std::string folder = store_.folder() + "/steps";
  return FolderExists(folder) ? NamesIn(folder) : std::vector<std::string>();
}

std::vector<std::string> StepStore::Models() const {
  const std::string folder = store_.folder() + "/last-steps";
  std::vector<std::string> models;
  if (!FolderExists(folder)) return models;
  for (const std::string& name : NamesIn(folder))
    if (name.ends_with(kLastKeysEnding)) models.push_back(name.substr(0, name.size() - std::strlen(kLastKeysEnding)));
  return models;
}

std::string StepStore::Folder(const std::string& key) const { return fmt::format("{}/steps/{}", store_.folder(), key); }

std::string StepStore::ProjectFile(const std::string& model) const {
  const std::string path = LastStepsPath(store_, model, kProjectEnding);
  if (!FileExists(path)) return "";
  try {
    const fs::path file = Unsealed(ReadFile(path, kMostRecordBytes), SealForm::kLine, path).at("file").get<std::string>();
    return (fs::path(store_.folder()) / file).lexically_normal().string();
  } catch (const json::exception&) {
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
  }
  return "";
}

void StepStore::SetProjectFile(const std::string& model, const std::string& file) const {
  std::error_code error;
  const fs::path absolute = fs::canonical(file, error);
  if (error) return;  // a project that was read from elsewhere
  // A store in the folder of its mlac.yaml moves with it.
  const bool is_inside = LiesIn(store_.folder(), absolute.parent_path().string());
  const std::string text = is_inside ? absolute.lexically_relative(store_.folder()).string() : absolute.string();
  if (ProjectFile(model) == absolute.string()) return;
  store_.Part("last-steps");
  WriteFileAtomically(LastStepsPath(store_, model, kProjectEnding), Sealed({{"file", text}}, SealForm::kLine));
}

void StepStore::ForgetModel(const std::string& model) const {
  // The keys last: by them the model is one that the next collection finds.
  for (const char* ending : {kRefusalEnding, kProjectEnding, kLastKeysEnding}) RemoveAll(LastStepsPath(store_, model, ending));
}

}  // namespace mlac
