#include "project/model_base.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <system_error>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "base/json.h"
#include "hub/aliases.h"
#include "models/adapter.h"
#include "models/model_folder.h"
#include "models/sentence_encoder.h"
#include "models/quantization.h"

namespace mlac {
namespace {

constexpr char kConfigFile[] = "config.json";

// NAME@ALIAS is a path where something of that name is there, as for -m of all commands.
bool IsInStore(const ProjectConfig& project, const ModelConfig& model) {
  std::error_code error;
  return IsReference(model.base) && !std::filesystem::exists(std::filesystem::symlink_status(project.Path(model.base), error));
}

bool HasModel(const ProjectConfig& project, const std::string& name) {
  return std::any_of(project.models.begin(), project.models.end(), [&](const ModelConfig& each) { return each.name == name; });
}

ResolvedReference ResolveBase(const ProjectConfig& project, const ModelConfig& model, const Store* store) {
  try {
    if (store != nullptr) return Resolve(*store, model.base);
    throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no folder of that name, and no store yet", Quoted(model.base)));
  } catch (const Error& error) {
    const std::string name = model.base.substr(0, model.base.find('@'));
    if (error.code() != ErrorCode::kNotFound || name == model.name || !HasModel(project, name)) throw;
    throw Error(error.code(), error.message(), fmt::format("{{model: {}}} is what this file makes of '{}'", name, name));
  }
}

void CheckIsTrainable(const std::string& config_file, const std::string& shown) {
  if (ReadQuantization(ReadJsonFile(config_file), shown + "/" + kConfigFile) != Quantization::kNone)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{} is int8, which cannot be trained", shown), "name the model that it was made from");
}

// Where config.json of the revision lies. Throws if it is no model that can be trained.
std::string ConfigOfRevision(const Store& store, const std::string& shown, const ResolvedReference& found) {
  const std::optional<Record> record = store.FindRecord(found.name, found.revision);
  if (record && record->kind != ArtefactKind::kModel)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a model, found {} '{}'", shown, Name(record->kind), found.name));
  const Manifest manifest = store.ReadManifest(found.revision);
  std::string inner;
  if (const ManifestEntry* modules = manifest.Find("modules.json"))
    inner = TransformerPath(ParseSentenceModules(ReadJsonFile(store.BlobPath(modules->sha256)), shown + ": modules.json"));
  const ManifestEntry* config = manifest.Find(inner.empty() ? kConfigFile : inner + "/" + kConfigFile);
  if (config == nullptr) throw Error(ErrorCode::kInvalidInput, fmt::format("{} is no model: there is no {} in it", shown, kConfigFile));
  const std::string path = store.BlobPath(config->sha256);
  CheckIsTrainable(path, shown);
  return path;
}

// The same of a folder; where it has none, the path that it would have.
std::string ConfigOfFolder(const std::string& folder, const std::string& shown) {
  if (IsAdapterFolder(folder) && !FileExists(folder + "/modules.json"))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} is an adapter, not a model", shown),
                "name the model that it was made for, or what 'mlac merge' makes of both");
  std::string path;
  try {
    path = TransformerFolder(folder) + "/" + kConfigFile;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return folder + "/" + kConfigFile;
  }
  CheckIsTrainable(path, shown);
  return path;
}

}  // namespace

PlannedBase PlanBase(const ProjectConfig& project, const ModelConfig& model, const Store* store, const PlannedBase* base,
                     const std::string& base_key) {
  if (base != nullptr)
    return {.model = model.base_model, .key = base_key, .name = model.base_model, .revision = {}, .config_file = base->config_file};
  if (!IsInStore(project, model))
    return {.model = {}, .key = {}, .name = {}, .revision = {}, .config_file = ConfigOfFolder(project.Path(model.base), model.base)};
  const ResolvedReference found = ResolveBase(project, model, store);
  return {
      .model = {}, .key = {}, .name = found.name, .revision = found.revision, .config_file = ConfigOfRevision(*store, model.base, found)};
}

std::vector<const ModelConfig*> ModelsWithBases(const ProjectConfig& project, const std::vector<std::string>& names) {
  std::map<std::string_view, const ModelConfig*> by_name;
  for (const ModelConfig& model : project.models) by_name.emplace(model.name, &model);
  std::set<std::string_view> wanted;
  for (const std::string& name : names) wanted.insert(project.Find(name).name);
  std::vector<const ModelConfig*> found;
  std::set<const ModelConfig*> done;
  for (const ModelConfig& model : project.models) {
    if (!wanted.empty() && !wanted.contains(model.name)) continue;
    std::vector<const ModelConfig*> chain;  // each made from the next
    for (const ModelConfig* at = &model; at != nullptr && done.insert(at).second;) {
      chain.push_back(at);
      const auto base = by_name.find(at->base_model);
      at = base != by_name.end() ? base->second : at->base_model.empty() ? nullptr : &project.Find(at->base_model);
    }
    found.insert(found.end(), chain.rbegin(), chain.rend());
  }
  return found;
}

std::vector<std::string> BaseRevisions(const ProjectConfig& project, const Store& store) {
  std::vector<std::string> revisions;
  for (const ModelConfig& model : project.models) {
    if (!model.base_model.empty() || !IsInStore(project, model)) continue;
    try {
      revisions.push_back(Resolve(store, model.base).revision);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kInvalidArgument) throw;
    }
  }
  return revisions;
}

BaseFolder::BaseFolder(const ProjectConfig& project, const ModelConfig& model, const PlannedBase& base, const Store& store,
                       const std::string& work)
    : path_(project.Path(model.base)) {
  if (base.revision.empty()) return;
  revision_ = store.OpenFolder(base.revision);
  // A flipped bit would go on into all that is made from it.
  if (Scan(revision_->path()).Revision() != base.revision)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: the base, {}@{}, is damaged", store.folder(), base.name, base.revision.substr(0, 12)),
                "'mlac verify' names the file and how to mend it");
  links_ = work + "/base";
  RemoveAll(links_);  // of a run that was killed
  std::filesystem::create_directories(links_);
  path_ = links_ + "/" + base.name;
  std::filesystem::create_symlink(revision_->path(), path_);
}

BaseFolder::~BaseFolder() {
  std::error_code error;
  if (!links_.empty()) RemoveAll(links_, error);
}

}  // namespace mlac
