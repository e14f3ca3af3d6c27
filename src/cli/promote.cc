// mlac promote and mlac rollback: where an alias stands.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/store_access.h"
#include "cli/terminal.h"

namespace mlac {
namespace {

struct MoveOptions {
  std::string reference, alias, why, store;
  bool json = false;
};

void AddMoveOptions(Command command, MoveOptions& options) {
  command.AddOption("alias", options.alias, "The alias: production, staging or a name of your own").Required().Type("ALIAS");
  command.AddOption("-m,--message", options.why, "Why, for the history").Type("WHY");
  AddStoreOption(command, options.store);
  AddJsonFlag(command, options.json);
}

void Print(const MoveOptions& options, const std::string& name, const std::optional<std::string>& before, const std::string& after) {
  if (options.json) {
    const nlohmann::ordered_json out = {{"name", name},
                                        {"alias", options.alias},
                                        {"before", before ? nlohmann::ordered_json(*before) : nlohmann::ordered_json()},
                                        {"revision", after}};
    fmt::print("{}\n", DumpJson(out, 2));
    return;
  }
  const std::string alias = Colored(Stream::kOut, Color::kGreen, fmt::format("{}@{}", name, options.alias));
  const std::string was = !before ? "" : *before == after ? ", as before" : fmt::format(", was {}", ShortRevision(*before));
  fmt::print("{} is {}{}\n", alias, Colored(Stream::kOut, Color::kYellow, ShortRevision(after)), was);
}

void Promote(const MoveOptions& options) {
  const Store store = OpenStore(options.store);
  if (options.reference.find('@') == std::string::npos)
    throw UsageError(fmt::format("promote: which revision of '{}'?", options.reference), fmt::format("NAME@REVISION, as '{}@latest'", options.reference));
  const ResolvedReference found = Resolve(store, options.reference);
  const Aliases aliases(store);
  const std::optional<std::string> before = aliases.Find(found.name, options.alias);
  aliases.Promote(found.name, found.revision, options.alias, options.why);
  Print(options, found.name, before, found.revision);
}

void Rollback(const MoveOptions& options) {
  const Store store = OpenStore(options.store);
  const Aliases aliases(store);
  const std::optional<std::string> before = aliases.Find(options.reference, options.alias);
  Print(options, options.reference, before, aliases.Rollback(options.reference, options.alias, options.why));
}

}  // namespace

void AddPromote(Command app) {
  auto options = std::make_shared<MoveOptions>();
  const Command command = app.AddCommand("promote", "Point an alias (such as production) at a revision",
                                         "mlac promote topics@latest production -m \"better on short texts\"");
  command.AddOption("revision", options->reference, "NAME@ALIAS, or NAME@ and the beginning of a revision").Required().Type("NAME@REV");
  AddMoveOptions(command, *options);
  command.OnRun([options] { Promote(*options); });
}

void AddRollback(Command app) {
  auto options = std::make_shared<MoveOptions>();
  const Command command = app.AddCommand("rollback", "Point an alias back at the revision that it named before",
                                         "mlac rollback topics production -m \"slow on long texts\"");
  command.AddOption("name", options->reference, "The name").Required().Type("NAME");
  AddMoveOptions(command, *options);
  command.OnRun([options] { Rollback(*options); });
}

}  // namespace mlac
