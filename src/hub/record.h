#pragma once
// What made a revision: kept beside it, never part of its identity.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mlac {

enum class ArtefactKind { kModel, kData, kReport };
std::string_view Name(ArtefactKind kind);  // "model", "data", "report"
// Throws kInvalidArgument for another name.
ArtefactKind ArtefactKindOf(std::string_view name);

struct Record {
  std::string name;      // "topics": see CheckArtefactName
  std::string revision;  // set by Store::Add
  ArtefactKind kind = ArtefactKind::kModel;
  std::string made_by = {};                            // "add", or the step that made it: "train", "optimize"
  std::string base = {};                               // the revision it was made from, "" for none
  std::map<std::string, std::string> data = {};        // by role: "train", "test"; revisions
  std::map<std::string, std::string> parameters = {};  // name to value, both text, as in training.json
  std::string answers = {};                            // the revision of what it answered when it was published, "" for none
  std::optional<uint64_t> seed = std::nullopt;
  std::string git_commit = {};  // of the user's repository, "" outside of one
  bool git_dirty = false;       // whether files that git knows were changed, or new ones not ignored
  std::string mlac_version = {}, instruction_set = {};  // set by Store::Add if empty
  double duration_seconds = 0;
  std::string who = {};   // "ann@laptop"; set by Store::Add if empty
  std::string time = {};  // UTC, ISO 8601 with milliseconds: "2026-11-27T23:55:24.123Z"; set by Store::Add if empty

  bool operator==(const Record&) const = default;
};

// All of it but the revision, as commands print it.
nlohmann::ordered_json RecordFields(const Record& record);

// JSON, sealed: the last key is a checksum of all before it, so that a flipped bit is found. ParseRecord takes exactly what RecordText writes.
// Throws kInvalidInput, with `where` before the message.
std::string RecordText(const Record& record);
Record ParseRecord(std::string_view text, std::string_view where);

// What a name of an artefact or an alias may be: letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 100; from four on one of
// them is no hexadecimal digit, so that none can be taken for a revision; ".partial-" does not occur in it.
// The checks throw kInvalidArgument otherwise, with what is allowed.
bool IsArtefactName(std::string_view name);
void CheckArtefactName(std::string_view name);
void CheckAliasName(std::string_view alias);

// Who works here and on what, for a record. Secrets never get here: no environment variable, no remote's URL.
std::string Who();      // "user@host"
std::string TimeNow();  // as Record::time
struct GitState {
  std::string commit;  // "" if folder lies in no repository, or git is not installed
  bool dirty = false;
};
// Asks the program git, with hooks and monitors switched off and without writing to the repository.
GitState GitStateOf(const std::string& folder);

}  // namespace mlac
