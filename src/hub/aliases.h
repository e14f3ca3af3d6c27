#pragma once
// Names for revisions that move: NAME@latest, NAME@production. Each is one file that holds its whole history, replaced as a whole.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/store.h"

namespace mlac {

constexpr std::string_view kLatest = "latest", kProduction = "production";

struct AliasMove {
  size_t number = 0;  // from 1
  std::string revision;
  std::string action;  // "publish", "promote", "rollback"
  std::string who, time, why;
  bool operator==(const AliasMove&) const = default;
};

// All throw kInvalidArgument for names that CheckArtefactName and CheckAliasName refuse, kInvalidInput for a damaged file, kIo.
class Aliases {
 public:
  explicit Aliases(const Store& store) : store_(store) {}

  std::vector<std::string> Of(std::string_view name) const;  // those of one name, sorted
  // The revision it stands for; nothing if there is no such alias.
  std::optional<std::string> Find(std::string_view name, std::string_view alias) const;
  std::vector<AliasMove> History(std::string_view name, std::string_view alias) const;  // oldest first; empty if there is none

  // Where it stands and stood before, the newest last, without what a rollback took back: the last but one is where a rollback leads. Empty if there is none.
  std::vector<std::string> Standing(std::string_view name, std::string_view alias) const;

  // Moves NAME@latest. Nothing happens (false) if it stands there. Throws kNotFound if the store has no such revision under that name.
  bool Publish(std::string_view name, std::string_view revision, std::string_view why = "") const;
  // Moves another alias; likewise. The folder of links of the model is made, so that who may only read the store finds it there. Throws kInvalidArgument
  // for "latest" and for what is no model, and what Store::OpenFolder throws.
  bool Promote(std::string_view name, std::string_view revision, std::string_view alias, std::string_view why = "") const;
  // Takes an alias back to where it was before its last promotion that was not taken back: promoted to A, B and C, two rollbacks give B and A. Gives the
  // revision. Throws kNotFound if there is no such alias, kInvalidArgument if it never stood elsewhere or for "latest".
  std::string Rollback(std::string_view name, std::string_view alias, std::string_view why = "") const;

 private:
  const Store& store_;
};

// The file that holds an alias: each move puts another one in its place. Throws kInvalidArgument as above.
std::string AliasPath(const Store& store, std::string_view name, std::string_view alias);

// The revision that a user means: a revision or the beginning of one (at least 4 digits), NAME@ALIAS, NAME@BEGINNING, or NAME for NAME@latest.
// Throws kNotFound with the nearest name, kInvalidArgument for a beginning that several revisions have, listing them, and for what has no such form.
struct ResolvedReference {
  std::string name;  // as it was given; of a revision alone: the first of its records, "" if it has none
  std::string revision;
};
ResolvedReference Resolve(const Store& store, std::string_view reference);

// Whether a text has the form NAME@ALIAS or NAME@BEGINNING, by its characters alone: a path with '/' or a text with blanks has not.
bool IsReference(std::string_view text);

}  // namespace mlac
