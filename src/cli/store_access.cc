#include "cli/store_access.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/system_call.h"
#include "cli/command.h"
#include "hub/record.h"
#include "project/config.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariable = "MLAC_STORE";

std::string Given(const std::string& given) { return given.empty() ? StoreOfEnvironment() : given; }

// What stands for a store in the nearest folder, this one or one above, that has such a thing.
struct FoundStore {
  std::string folder;  // "" for none
  std::string file;    // the mlac.yaml that names it, "" for a .mlac without one
};

// mlac.yaml comes before a .mlac that lies beside it: all commands mean the store that `mlac apply` publishes into.
FoundStore FindStore() {
  std::error_code error;
  const fs::path start = fs::current_path(error);
  if (error) ThrowSystem("cannot look for a store", ".", error.value());
  for (fs::path folder = start;; folder = folder.parent_path()) {
    const std::string file = folder == start ? kProjectFile : (folder / kProjectFile).string();
    if (FileExists(file)) {
      const ProjectConfig project = ReadProject(file);
      return {project.Path(project.store), file};
    }
    if (FileExists((folder / ".mlac/store.json").string())) return {(folder / ".mlac").string(), ""};
    if (!folder.has_relative_path()) return {};
  }
}

// The aliases of that name in the store, "tickets@latest, tickets@production"; "" where there are none, or no store that opens: a hint
// needs no error of its own.
std::string AliasesOf(const std::string& name) {
  if (!IsArtefactName(name)) return "";
  try {
    const Store store = OpenStore("");
    std::string known;
    for (const std::string& alias : Aliases(store).Of(name)) known += fmt::format("{}{}@{}", known.empty() ? "" : ", ", name, alias);
    return known;
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

std::string StoreOfEnvironment() {
  const char* variable = std::getenv(kVariable);
  return variable == nullptr ? "" : variable;
}

void AddStoreOption(Command command, std::string& store) {
  command.AddOption("--store", store, "The store; else MLAC_STORE, else that of mlac.yaml, or .mlac, here or in the nearest folder above")
      .Type("DIR");
}

Store OpenStore(const std::string& given) {
  const std::string folder = Given(given);
  if (!folder.empty()) return Store::Open(folder);
  const FoundStore found = FindStore();
  if (found.folder.empty())
    throw Error(ErrorCode::kNotFound, "there is no store: no .mlac here or in a folder above",
                "'mlac store add' makes one; --store names one elsewhere");
  if (!found.file.empty() && !FolderExists(found.folder))
    throw Error(ErrorCode::kNotFound, fmt::format("{}: its store {} is not there yet", found.file, Quoted(found.folder)),
                "'mlac apply' makes it; --store names another");
  return Store::Open(found.folder);
}

Store OpenOrCreateStore(const std::string& given) {
  const std::string folder = Given(given);
  if (!folder.empty()) return Store::OpenOrCreate(folder);
  const FoundStore found = FindStore();
  return Store::OpenOrCreate(found.folder.empty() ? ".mlac" : found.folder);
}

ModelFolder FindModel(const std::string& given) {
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(given, error))) return {.path = given};
  if (!IsReference(given)) {
    if (const std::string known = AliasesOf(given); !known.empty())
      throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no such folder", given), "the store has " + known);
    return {.path = given};
  }
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

std::string CardName(const ModelFolder& given) {
  if (given.revision) return given.name + "@" + ShortRevision(given.revision->revision());
  const std::filesystem::path path = std::filesystem::absolute(given.path).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

std::string ShortRevision(std::string_view revision) { return std::string(revision.substr(0, 12)); }

std::string ShortTime(std::string_view time) {
  std::string text(time.substr(0, 16));
  if (text.size() > 10 && text[10] == 'T') text[10] = ' ';
  return Printable(text);
}

}  // namespace mlac
