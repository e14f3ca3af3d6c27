#include "hub/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/table_difference.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

using Figures = std::map<std::string, double>;

// The record under a name; of all, the first, where that is "" or has none; an empty one if there are none at all.
Record RecordFor(const Store& store, const std::string& revision, const std::string& name) {
  const std::vector<Record> records = store.RecordsOf(revision);
  const auto found = std::find_if(records.begin(), records.end(), [&](const Record& record) { return record.name == name; });
  return found != records.end() ? *found : records.empty() ? Record{.name = "", .revision = revision} : records.front();
}

// What made it, as one list.
std::map<std::string, std::string> Circumstances(const Record& record) {
  std::map<std::string, std::string> values = record.parameters;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) values.emplace(name, value);
  };
  add("base", record.base);
  add("git commit", record.git_commit.empty() ? "" : record.git_commit + (record.git_dirty ? ", with changes" : ""));
  add("instruction set", record.instruction_set);
  add("mlac version", record.mlac_version);
  add("made by", record.made_by);
  add("seed", record.seed ? fmt::format("{}", *record.seed) : "");
  return values;
}

void CompareParameters(const Record& before, const Record& after, RevisionDiff& diff) {
  const std::map<std::string, std::string> old_values = Circumstances(before), new_values = Circumstances(after);
  std::set<std::string> names;
  for (const auto* values : {&old_values, &new_values})
    for (const auto& [name, value] : *values) names.insert(name);
  const auto value_in = [](const std::map<std::string, std::string>& values, const std::string& name) {
    const auto found = values.find(name);
    return found == values.end() ? std::string() : found->second;
  };
  for (const std::string& name : names) {
    const ValueChange change = {.name = name, .before = value_in(old_values, name), .after = value_in(new_values, name)};
    if (change.before != change.after) diff.parameters.push_back(change);
  }
}

// Counts rows where both are one table.
void CompareRows(const Store& store, DataChange& change) {
  const auto table = [&](const std::string& revision) -> std::optional<RevisionFolder> {
    if (revision.empty() || !store.Has(revision)) return std::nullopt;
    const Manifest manifest = store.ReadManifest(revision);
    if (manifest.entries().size() != 1 || !IsTable(manifest.entries().front().path)) return std::nullopt;
    return store.OpenFolder(revision);
  };
  const std::optional<RevisionFolder> before = table(change.before), after = table(change.after);
  if (!before && !after) return;
  const TableDifference difference = CompareTables(store.OnlyFile(before ? *before : *after), store.OnlyFile(after ? *after : *before));
  if (before) change.num_rows_before = difference.num_rows_before;
  if (after) change.num_rows_after = difference.num_rows_after;
  if (!before || !after) return;
  change.num_rows_added = difference.num_rows_added;
  change.num_rows_removed = difference.num_rows_removed;
}

void CompareData(const Store& store, std::map<std::string, std::string> before, std::map<std::string, std::string> after, RevisionDiff& diff) {
  std::set<std::string> roles;
  for (const auto* data : {&before, &after})
    for (const auto& [role, revision] : *data) roles.insert(role);
  for (const std::string& role : roles) {
    DataChange change = {.role = role, .before = before[role], .after = after[role]};
    if (change.before == change.after) continue;
    CompareRows(store, change);
    diff.data.push_back(std::move(change));
  }
}

// Numbers of an object and of those inside it, "per_class.fish.f1"; lists (intervals, the confusion matrix) are no figures.
void Flatten(const ordered_json& object, const std::string& prefix, Figures& figures) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_number() && key != "format_version")
      figures[prefix + key] = value.get<double>();
    else if (value.is_object())
      Flatten(value, prefix + key + ".", figures);
  }
}

}  // namespace

void DiffFiles(const Manifest& before, const Manifest& after, RevisionDiff& diff) {
  for (const ManifestEntry& entry : before.entries()) {
    const ManifestEntry* now = after.Find(entry.path);
    if (now != nullptr && now->sha256 == entry.sha256)
      ++diff.num_files_equal;
    else
      diff.files.push_back({.path = entry.path, .size_before = entry.size, .size_after = now == nullptr ? std::nullopt : std::optional(now->size)});
  }
  for (const ManifestEntry& entry : after.entries())
    if (before.Find(entry.path) == nullptr) diff.files.push_back({.path = entry.path, .size_before = std::nullopt, .size_after = entry.size});
  std::sort(diff.files.begin(), diff.files.end(), [](const FileChange& a, const FileChange& b) { return a.path < b.path; });
}

void DiffFigures(const std::map<std::string, double>& before, const std::map<std::string, double>& after, RevisionDiff& diff) {
  const auto value_in = [](const Figures& figures, const std::string& name) {
    const auto found = figures.find(name);
    return found == figures.end() ? std::nullopt : std::optional(found->second);
  };
  std::set<std::string> names;
  for (const Figures* figures : {&before, &after})
    for (const auto& [name, value] : *figures) names.insert(name);
  for (const std::string& name : names) diff.figures.push_back({.name = name, .before = value_in(before, name), .after = value_in(after, name)});
}

std::map<std::string, double> FiguresIn(const std::string& path) {
  Figures figures;
  const nlohmann::json metrics = ReadJsonFile(path);
  if (metrics.is_object()) Flatten(ordered_json(metrics), "", figures);
  return figures;
}

std::map<std::string, double> FiguresOf(const Store& store, const std::string& revision) {
  if (store.ReadManifest(revision).Find("metrics.json") == nullptr) return {};
  const RevisionFolder folder = store.OpenFolder(revision);
  return FiguresIn(folder.path() + "/metrics.json");
}

RevisionDiff DiffRevisions(const Store& store, const std::string& before, const std::string& after, const std::string& before_name,
                           const std::string& after_name) {
  RevisionDiff diff = {.before = before, .after = after};
  const Manifest old_files = store.ReadManifest(before), new_files = store.ReadManifest(after);
  DiffFiles(old_files, new_files, diff);
  const Record old_record = RecordFor(store, before, before_name), new_record = RecordFor(store, after, after_name);
  CompareParameters(old_record, new_record, diff);
  CompareData(store, old_record.data, new_record.data, diff);
  // A data set is its own data.
  if (old_record.kind == ArtefactKind::kData && new_record.kind == ArtefactKind::kData)
    CompareData(store, {{"rows", before}}, {{"rows", after}}, diff);
  DiffFigures(FiguresOf(store, before), FiguresOf(store, after), diff);
  return diff;
}

}  // namespace mlac
