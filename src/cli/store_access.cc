#include "cli/store_access.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "project/config.h"

namespace mlac {
namespace {

constexpr const char* kVariable = "MLAC_STORE";

std::string Given(const std::string& given) {
  const char* variable = std::getenv(kVariable);
  return given.empty() && variable != nullptr ? variable : given;
}

// The .mlac of this folder or of one above it; where there is none, the store that the mlac.yaml of this folder names. "" for neither.
std::string FindStore() {
  const std::string found = Store::Find();
  if (!found.empty() || !FileExists(kProjectFile)) return found;
  const ProjectConfig project = ReadProject(kProjectFile);
  const std::string folder = project.Path(project.store);
  return FolderExists(folder) ? folder : "";
}

}  // namespace

void AddStoreOption(CLI::App& command, std::string& store) {
  command.add_option("--store", store, "The store; else MLAC_STORE, else .mlac here or in a folder above, else that of mlac.yaml here")->type_name("DIR");
}

Store OpenStore(const std::string& given) {
  const std::string folder = Given(given);
  if (!folder.empty()) return Store::Open(folder);
  const std::string found = FindStore();
  if (found.empty())
    throw Error(ErrorCode::kNotFound, "there is no store: no .mlac here or in a folder above", "'mlac store add' makes one; --store names one elsewhere");
  return Store::Open(found);
}

Store OpenOrCreateStore(const std::string& given) {
  const std::string folder = Given(given);
  if (!folder.empty()) return Store::OpenOrCreate(folder);
  const std::string found = FindStore();
  return found.empty() ? Store::OpenOrCreate(".mlac") : Store::Open(found);
}

ModelFolder FindModel(const std::string& given) {
  std::error_code error;
  if (!IsReference(given) || std::filesystem::exists(std::filesystem::symlink_status(given, error))) return {.path = given};
  const Store store = OpenStore("");
  const ResolvedReference found = Resolve(store, given);
  if (const auto record = store.FindRecord(found.name, found.revision); record && record->kind != ArtefactKind::kModel)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: expected a model, found {} '{}'", given, Name(record->kind), found.name));
  RevisionFolder folder = store.OpenFolder(found.revision);
  const std::string path = folder.path();
  const std::string behind = given.substr(given.find('@') + 1);
  // What could be the beginning of a revision is no name of an alias.
  return {.path = path, .name = found.name, .revision = std::move(folder), .alias = IsArtefactName(behind) ? behind : "", .store = store};
}

ModelFolder FindAdapter(const std::string& given) {
  if (given.empty()) return {.path = "", .name = "", .revision = {}};
  return FindModel(given);
}

std::string ShortRevision(std::string_view revision) { return std::string(revision.substr(0, 12)); }

std::string ShortTime(std::string_view time) {
  std::string text(time.substr(0, 16));
  if (text.size() > 10 && text[10] == 'T') text[10] = ' ';
  return Printable(text);
}

}  // namespace mlac
