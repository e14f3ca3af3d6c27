#include "hub/aliases.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/nearest_name.h"
#include "base/system_call.h"
#include "hub/seal.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kExtension = ".jsonl";
constexpr size_t kLargestHistory = size_t{256} << 20;
constexpr size_t kShortestPrefix = 4;  // digits of a revision
constexpr std::string_view kPublish = "publish", kPromote = "promote", kRollback = "rollback";

bool IsLink(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

// A link in the store's place of an alias would be read from, and a folder's would be written through.
void RefuseLinks(const Store& store, std::string_view name, const std::string& path) {
  for (const std::string& part : {fmt::format("{}/aliases/{}", store.folder(), name), path})
    if (IsLink(part)) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a part of the store, found a link", part));
}

// ---- The history: a line a move ----

std::string LineOf(const AliasMove& move) {
  return Sealed({{"number", move.number}, {"revision", move.revision}, {"action", move.action}, {"who", move.who}, {"time", move.time}, {"why", move.why}},
                SealForm::kLine);
}

AliasMove ParseMove(std::string_view line, size_t number, const std::string& where) {
  const ordered_json object = Unsealed(line, SealForm::kLine, where);
  const auto text = [&](const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a text '{}'", where, key));
    return found->get<std::string>();
  };
  AliasMove move = {.number = number, .revision = text("revision"), .action = text("action"), .who = text("who"), .time = text("time"), .why = text("why")};
  if (object.value("number", ordered_json()) != number) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected move number {}", where, number));
  if (!IsRevision(move.revision)) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a revision, found {}", where, Quoted(move.revision)));
  if (move.action != kPublish && move.action != kPromote && move.action != kRollback)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the action {} is not known", where, Quoted(move.action)));
  return move;
}

std::vector<AliasMove> ParseHistory(std::string_view text, const std::string& path) {
  std::vector<AliasMove> history;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    history.push_back(ParseMove(text.substr(begin, end - begin), history.size() + 1, fmt::format("{}: line {}", path, history.size() + 1)));
    begin = end;
  }
  if (history.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is damaged: it is empty", path));
  return history;
}

std::vector<std::string> StandingAfter(const std::vector<AliasMove>& history) {
  std::vector<std::string> standing;
  for (const AliasMove& move : history) {
    if (move.action != kRollback)
      standing.push_back(move.revision);
    else if (standing.size() > 1)
      standing.pop_back();
  }
  return standing;
}

FileLock LockAliases(const Store& store, const std::string& purpose) {
  return FileLock::Wait(store.Part("aliases") + "/.lock", LockMode::kExclusive, purpose);
}

// Adds one move; false and nothing if it stands there. The locks must be held.
bool Move(const Store& store, std::string_view name, std::string_view alias, std::string_view revision, std::string_view action, std::string_view why) {
  const std::string path = AliasPath(store, name, alias);
  store.Part("aliases");
  store.Part(fmt::format("aliases/{}", name));
  RefuseLinks(store, name, path);
  const bool exists = FileExists(path);
  const std::string text = exists ? ReadFile(path, kLargestHistory) : "";
  const std::vector<AliasMove> history = exists ? ParseHistory(text, path) : std::vector<AliasMove>();
  if (action != kRollback && !history.empty() && history.back().revision == revision) return false;
  const AliasMove move = {.number = history.size() + 1,
                          .revision = std::string(revision),
                          .action = std::string(action),
                          .who = Who(),
                          .time = TimeNow(),
                          .why = std::string(why)};
  WriteFileAtomically(path, text + LineOf(move));
  if (!exists) SyncFolder(store.Part("aliases"));  // where the folder of the name may be new
  return true;
}

void CheckHasUnderName(const Store& store, std::string_view name, std::string_view revision) {
  if (store.Has(revision) && store.FindRecord(name, revision)) return;
  throw Error(ErrorCode::kNotFound, fmt::format("{}: {} has no revision {}", store.folder(), Quoted(name), Quoted(revision)),
              fmt::format("'mlac log {}' lists them", name));
}

// Production, staging and the like are what is served.
void CheckIsModel(const Store& store, std::string_view name, std::string_view revision) {
  const std::optional<Record> record = store.FindRecord(name, revision);
  if (!record || record->kind == ArtefactKind::kModel) return;
  const std::string which = fmt::format("{}@{}", name, revision.substr(0, 12));
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} is {}, and only models are promoted", which, record->kind == ArtefactKind::kData ? "data" : "a report"),
              fmt::format("'mlac show {}' says what it is", which));
}

// ---- References ----

bool IsPrefix(std::string_view text) {
  return text.size() >= kShortestPrefix && text.size() <= kRevisionLength && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The only one of `revisions` that begins so; "" if there is none. Throws for several.
std::string FindByPrefix(const std::vector<std::string>& revisions, std::string_view prefix) {
  std::vector<std::string> found;
  for (auto next = std::lower_bound(revisions.begin(), revisions.end(), prefix); next != revisions.end() && next->starts_with(prefix); ++next)
    found.push_back(*next);
  if (found.size() <= 1) return found.empty() ? "" : found.front();
  constexpr size_t kShown = 4, kDigits = 12;
  std::string list;
  for (size_t i = 0; i < std::min(found.size(), kShown); ++i)
    list += fmt::format("{}{}", i == 0 ? "" : ", ", std::string_view(found[i]).substr(0, std::max(kDigits, prefix.size() + 4)));
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is the beginning of {} revisions: {}{}", prefix, found.size(), list, found.size() > kShown ? ", ..." : ""), "give more digits");
}

[[noreturn]] void ThrowUnknownName(const Store& store, std::string_view name) {
  const std::vector<std::string> names = store.Names();
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) hint = names.empty() ? "the store is empty" : "'mlac log' lists the names";
  throw Error(ErrorCode::kNotFound, fmt::format("{}: nothing is called {}", store.folder(), Quoted(name)), hint);
}

std::string ResolveUnderName(const Store& store, const std::string& name, const std::string& reference) {
  CheckArtefactName(name);
  const std::vector<std::string> revisions = store.RevisionsOf(name);
  if (revisions.empty()) ThrowUnknownName(store, name);
  if (IsPrefix(reference)) {
    if (const std::string found = FindByPrefix(revisions, reference); !found.empty()) return found;
    throw Error(ErrorCode::kNotFound, fmt::format("{}: '{}' has no revision that begins with '{}'", store.folder(), name, reference),
                fmt::format("'mlac log {}' lists them", name));
  }
  const Aliases aliases(store);
  if (const std::optional<std::string> found = aliases.Find(name, reference)) {
    if (!store.Has(*found))
      throw Error(ErrorCode::kNotFound, fmt::format("{}: {}@{} is revision {}, which is not there", store.folder(), name, reference, *found),
                  "'mlac verify' lists all that is damaged");
    return *found;
  }
  const std::vector<std::string> known = aliases.Of(name);
  std::string hint = DidYouMean(reference, known);
  for (const std::string& alias : known)  // "prod" is too far from "production" for a slip, and short for it
    if (hint.empty() && alias.starts_with(reference)) hint = fmt::format("did you mean '{}'?", alias);
  if (hint.empty()) hint = known.empty() ? "it has none yet" : fmt::format("there are {}", fmt::join(known, ", "));
  throw Error(ErrorCode::kNotFound, fmt::format("{}: '{}' has no alias {}", store.folder(), name, Quoted(reference)), hint);
}

}  // namespace

std::string AliasPath(const Store& store, std::string_view name, std::string_view alias) {
  CheckArtefactName(name);
  CheckAliasName(alias);
  return fmt::format("{}/aliases/{}/{}{}", store.folder(), name, alias, kExtension);
}

std::vector<std::string> Aliases::Of(std::string_view name) const {
  CheckArtefactName(name);
  const std::string folder = fmt::format("{}/aliases/{}", store_.folder(), name);
  if (IsLink(folder) || !FolderExists(folder)) return {};
  std::vector<std::string> aliases;
  for (const std::string& file : NamesIn(folder))
    if (file.ends_with(kExtension)) aliases.push_back(file.substr(0, file.size() - kExtension.size()));
  return aliases;
}

std::vector<AliasMove> Aliases::History(std::string_view name, std::string_view alias) const {
  const std::string path = AliasPath(store_, name, alias);
  RefuseLinks(store_, name, path);
  return FileExists(path) ? ParseHistory(ReadFile(path, kLargestHistory), path) : std::vector<AliasMove>();
}

std::optional<std::string> Aliases::Find(std::string_view name, std::string_view alias) const {
  const std::vector<AliasMove> history = History(name, alias);
  return history.empty() ? std::nullopt : std::optional(history.back().revision);
}

std::vector<std::string> Aliases::Standing(std::string_view name, std::string_view alias) const { return StandingAfter(History(name, alias)); }

bool Aliases::Publish(std::string_view name, std::string_view revision, std::string_view why) const {
  const FileLock store_lock = store_.Lock(LockMode::kShared, fmt::format("publish {}", name));
  const FileLock lock = LockAliases(store_, fmt::format("publish {}", name));
  AliasPath(store_, name, kLatest);
  CheckHasUnderName(store_, name, revision);
  return Move(store_, name, kLatest, revision, kPublish, why);
}

bool Aliases::Promote(std::string_view name, std::string_view revision, std::string_view alias, std::string_view why) const {
  AliasPath(store_, name, alias);
  if (alias == kLatest) throw Error(ErrorCode::kInvalidArgument, "'latest' is moved by what publishes alone", "promote to 'production', or a name of your own");
  const FileLock store_lock = store_.Lock(LockMode::kShared, fmt::format("promote {}", name));
  const FileLock lock = LockAliases(store_, fmt::format("promote {}", name));
  CheckHasUnderName(store_, name, revision);
  CheckIsModel(store_, name, revision);
  store_.OpenFolder(revision);  // so that who may only read the store finds the folder there, and copies nothing
  return Move(store_, name, alias, revision, kPromote, why);
}

std::string Aliases::Rollback(std::string_view name, std::string_view alias, std::string_view why) const {
  AliasPath(store_, name, alias);
  if (alias == kLatest) throw Error(ErrorCode::kInvalidArgument, "'latest' is moved by what publishes alone", "roll back 'production', or a name of your own");
  const FileLock store_lock = store_.Lock(LockMode::kShared, fmt::format("roll back {}", name));
  const FileLock lock = LockAliases(store_, fmt::format("roll back {}", name));
  const std::vector<AliasMove> history = History(name, alias);
  if (history.empty()) {
    if (store_.RevisionsOf(name).empty()) ThrowUnknownName(store_, name);
    const std::string hint = DidYouMean(alias, Of(name));
    throw Error(ErrorCode::kNotFound, fmt::format("{}: '{}' has no alias '{}'", store_.folder(), name, alias),
                hint.empty() ? fmt::format("'mlac promote {}@REVISION {}' makes it", name, alias) : hint);
  }
  const std::vector<std::string> standing = StandingAfter(history);
  if (standing.size() < 2)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}@{} stood nowhere before {}", name, alias, standing.back().substr(0, 12)));
  const std::string& before = standing[standing.size() - 2];
  if (!store_.Has(before))
    throw Error(ErrorCode::kNotFound, fmt::format("{}: {}@{} was {} before, which is not there any more", store_.folder(), name, alias, before),
                "'mlac gc' removed it; promote another one");
  Move(store_, name, alias, before, kRollback, why);
  return before;
}

ResolvedReference Resolve(const Store& store, std::string_view reference) {
  if (const size_t at = reference.find('@'); at != std::string_view::npos) {
    const std::string name(reference.substr(0, at));
    return {.name = name, .revision = ResolveUnderName(store, name, std::string(reference.substr(at + 1)))};
  }
  if (IsPrefix(reference)) {
    const std::string found = FindByPrefix(store.Revisions(), reference);
    if (found.empty())
      throw Error(ErrorCode::kNotFound, fmt::format("{}: no revision begins with '{}'", store.folder(), reference), "'mlac log' lists them");
    const std::vector<Record> records = store.RecordsOf(found);
    return {.name = records.empty() ? "" : records.front().name, .revision = found};
  }
  const std::string name(reference);
  return {.name = name, .revision = ResolveUnderName(store, name, std::string(kLatest))};
}

bool IsReference(std::string_view text) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos) return false;
  const auto is_part = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string_view::npos;
  };
  return is_part(text.substr(0, at)) && is_part(text.substr(at + 1));
}

}  // namespace mlac
