#include "project/data_profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "base/sha256.h"
#include "hub/seal.h"
#include "project/step.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The file: a sealed line of JSON with the counts of the labels and the SHA-256 of what follows: 8 bytes of hash a row, in the order of the
// rows.
struct Profile {
  std::map<std::string, size_t> labels;
  std::vector<uint64_t> rows;
};

constexpr size_t kMostDataBytes = size_t{8} << 30;
constexpr char kProfilesPart[] = "data-profiles";

std::string PathOf(const std::string& folder, const ModelTask& task, const std::string& hash, const ModelData& columns) {
  return folder + "/" + DataProfileName(task, hash, columns);
}

uint64_t RowHash(std::initializer_list<std::string_view> parts) {
  Sha256 hash;
  for (const std::string_view part : parts) hash.AddField(part);
  return std::stoull(hash.Finish().substr(0, 16), nullptr, 16);
}

Profile ProfileOf(const ModelTask& task, const std::string& path, const ModelData& columns) {
  Profile profile;
  for (const PreparedRow& row : task.read_rows(path, columns, {}).rows) {
    if (task.labels_texts) ++profile.labels[row.label];
    for (const std::string& label : row.labels) ++profile.labels[label];
    profile.rows.push_back(task.labels_texts ? RowHash({row.Key(), row.label}) : RowHash({row.line}));
  }
  return profile;
}

std::string HashOfRows(std::string_view bytes) {
  Sha256 hash;
  hash.Add(bytes);
  return hash.Finish();
}

// Nothing where there is none; a damaged one says nothing either.
std::optional<Profile> ReadProfile(const std::string& path) {
  if (!FileExists(path)) return std::nullopt;
  const std::string content = ReadFile(path, kMostDataBytes);
  const size_t begin = std::min(content.find('\n'), content.size() - 1) + 1;
  const std::string_view rows = std::string_view(content).substr(std::min(begin, content.size()));
  try {
    const ordered_json head = Unsealed(std::string_view(content).substr(0, begin), SealForm::kLine, path);
    if (head.at("rows") != HashOfRows(rows) || rows.size() % sizeof(uint64_t) != 0) return std::nullopt;
    Profile profile = {.labels = head.at("labels").get<std::map<std::string, size_t>>(), .rows = {}};
    profile.rows.resize(rows.size() / sizeof(uint64_t));
    std::memcpy(profile.rows.data(), rows.data(), rows.size());
    return profile;
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return std::nullopt;
  }
}

std::string LabelList(const std::vector<std::string>& labels, std::string_view what) {
  std::vector<std::string> shown;
  for (const std::string& label : labels) {
    if (shown.size() == 5) break;
    shown.push_back(Quoted(label));
  }
  return fmt::format("{} {} {}: {}{}", labels.size(), labels.size() == 1 ? "label" : "labels", what, fmt::join(shown, ", "),
                     labels.size() > shown.size() ? ", ..." : "");
}

std::string Describe(const Profile& before, const Profile& after) {
  std::vector<uint64_t> old_rows = before.rows, new_rows = after.rows, common;
  std::sort(old_rows.begin(), old_rows.end());
  std::sort(new_rows.begin(), new_rows.end());
  std::set_intersection(old_rows.begin(), old_rows.end(), new_rows.begin(), new_rows.end(), std::back_inserter(common));
  const size_t num_added = new_rows.size() - common.size(), num_removed = old_rows.size() - common.size();
  std::vector<std::string> parts;
  if (num_added > 0) parts.push_back(fmt::format("{} {} added", num_added, num_added == 1 ? "row" : "rows"));
  if (num_removed > 0) parts.push_back(fmt::format("{} {}removed", num_removed, num_added > 0 ? "" : num_removed == 1 ? "row " : "rows "));
  if (parts.empty()) parts.push_back(before.rows == after.rows ? "the same rows, written otherwise" : "the same rows in another order");
  std::vector<std::string> new_labels, old_labels;
  for (const auto& [label, count] : after.labels)
    if (!before.labels.contains(label)) new_labels.push_back(label);
  for (const auto& [label, count] : before.labels)
    if (!after.labels.contains(label)) old_labels.push_back(label);
  if (!new_labels.empty()) parts.push_back(LabelList(new_labels, "new"));
  if (!old_labels.empty()) parts.push_back(LabelList(old_labels, "gone"));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string DataProfileName(const ModelTask& task, const std::string& hash, const ModelData& columns) {
  Sha256 key;
  for (const std::string& part : {hash, columns.text_column, columns.target_column}) key.AddField(part);
  if (!task.labels_texts) key.AddField(task.Title());
  if (!columns.text_pair_column.empty()) key.AddField(columns.text_pair_column);
  if (task.several_labels()) key.AddField(columns.label_separator);
  return key.Finish().substr(0, 40);
}

std::vector<std::string> DataFilesOf(const ProjectConfig& project, const ModelConfig& model) {
  std::vector<std::string> paths;
  for (const std::string& path : model.data.train) paths.push_back(project.Path(path));
  for (const std::string& path : {model.data.validation, model.data.test})
    if (!path.empty()) paths.push_back(project.Path(path));
  return paths;
}

RemovedDataProfiles RemoveDataProfilesExcept(const Store& store, const std::set<std::string>& keep, bool dry_run) {
  RemovedDataProfiles removed;
  const std::string folder = store.folder() + "/" + kProfilesPart;
  if (!FolderExists(folder)) return removed;
  for (const std::string& name : NamesIn(folder)) {
    if (keep.contains(name)) continue;
    std::error_code gone;  // beside a dry run an apply may be at work
    const uint64_t size = std::filesystem::file_size(folder + "/" + name, gone);
    if (gone && dry_run) continue;
    ++removed.count;
    removed.num_bytes += gone ? 0 : size;
    if (!dry_run) RemoveAll(folder + "/" + name);
  }
  return removed;
}

void SaveDataProfile(const Store& store, const ModelTask& task, const std::string& hash, const std::string& path,
                     const ModelData& columns) {
  const std::string place = PathOf(store.Part(kProfilesPart), task, hash, columns);
  if (ReadProfile(place)) return;
  const Profile profile = ProfileOf(task, path, columns);
  const std::string_view rows(reinterpret_cast<const char*>(profile.rows.data()), profile.rows.size() * sizeof(uint64_t));
  AtomicFile file(place);
  file.Write(Sealed({{"labels", profile.labels}, {"rows", HashOfRows(rows)}}, SealForm::kLine));
  file.Write(rows);
  file.Commit();
}

void SaveDataProfiles(const Store& store, const ProjectConfig& project, const ModelConfig& model, Contents& contents) {
  for (const std::string& path : DataFilesOf(project, model))
    SaveDataProfile(store, TaskOf(model), contents.Hash(path), path, ColumnsOf(model));
}

std::vector<std::string> MendDataProfiles(const Store& store, const ProjectConfig& project, const ModelConfig& model, Contents& contents) {
  std::vector<std::string> mended;
  for (const std::string& path : DataFilesOf(project, model)) {
    const std::string place = PathOf(store.folder() + "/" + kProfilesPart, TaskOf(model), contents.Hash(path), ColumnsOf(model));
    if (!FileExists(place) || ReadProfile(place)) continue;
    SaveDataProfile(store, TaskOf(model), contents.Hash(path), path, ColumnsOf(model));
    mended.push_back(place);
  }
  return mended;
}

std::vector<Damage> FindDamagedProfiles(const Store& store) {
  std::vector<Damage> damages;
  const std::string folder = store.folder() + "/" + kProfilesPart;
  if (!FolderExists(folder)) return damages;
  for (const std::string& name : NamesIn(folder))
    if (IsRevision(name) && !ReadProfile(folder + "/" + name) && FileExists(folder + "/" + name))
      damages.push_back({fmt::format("{}/{}", kProfilesPart, name),
                         "is damaged; changes of these data are told without their rows until 'mlac apply' makes it anew",
                         {}});
  return damages;
}

std::optional<std::vector<std::string>> RememberedLabels(const Store& store, const ModelTask& task, const std::string& hash,
                                                         const ModelData& columns) {
  const std::optional<Profile> profile = ReadProfile(PathOf(store.folder() + "/" + kProfilesPart, task, hash, columns));
  if (!profile) return std::nullopt;
  std::vector<std::string> labels;
  for (const auto& [label, count] : profile->labels) labels.push_back(label);
  return labels;
}

std::string DescribeDataChange(const Store& store, const ModelTask& task, const std::string& old_hash, const std::string& path,
                               const ModelData& columns) {
  const std::optional<Profile> before = ReadProfile(PathOf(store.folder() + "/" + kProfilesPart, task, old_hash, columns));
  if (!before) return "";
  try {
    return Describe(*before, ProfileOf(task, path, columns));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo || error.code() == ErrorCode::kResourceExhausted) throw;
    return "";  // the step that reads it says what is wrong
  }
}

}  // namespace mlac
