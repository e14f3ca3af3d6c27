// mlac store: puts folders into the store and takes them out, without a plan.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/long_progress.h"
#include "cli/store_access.h"
#include "cli/terminal.h"

namespace mlac {
namespace {

struct AddOptionsOfStore {
  std::string source, name, kind = "model", base, why, store;
  std::vector<std::string> parameters;
  bool json = false;
};

// "lr=1e-4" to its two sides.
std::pair<std::string, std::string> ParseParameter(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw UsageError(fmt::format("--parameter is '{}'; expected NAME=VALUE", text));
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void Add(const AddOptionsOfStore& options) {
  const Store store = OpenOrCreateStore(options.store);
  const GitState git = GitStateOf(".");
  Record record = {.name = options.name, .revision = "", .kind = ArtefactKindOf(options.kind), .made_by = "add"};
  record.git_commit = git.commit;
  record.git_dirty = git.dirty;
  if (!options.base.empty()) record.base = Resolve(store, options.base).revision;
  for (const std::string& parameter : options.parameters) record.parameters.insert(ParseParameter(parameter));
  std::string revision;
  {
    LongProgress progress("file");
    const auto on_progress = [&](const ScanProgress& scan) {
      progress.Update(scan.num_files_done, scan.num_files, fmt::format("{:.0f} MB read", static_cast<double>(scan.num_bytes_read) / 1e6));
    };
    const auto on_wait = [](const std::string& message) { fmt::print(stderr, "waiting: {}\n", message); };
    revision = store.Add(options.source, std::move(record), {.on_progress = on_progress, .on_wait = on_wait});
  }
  const bool moved = Aliases(store).Publish(options.name, revision, options.why);
  if (options.json) {
    const nlohmann::ordered_json out = {{"name", options.name}, {"revision", revision}, {"new", moved}};
    fmt::print("{}\n", DumpJson(out, 2));
    return;
  }
  fmt::print("{} is {}{}\n", Colored(Stream::kOut, Color::kGreen, options.name + "@latest"), Colored(Stream::kOut, Color::kYellow, ShortRevision(revision)),
             moved ? "" : ", as before");
}

void AddAddCommand(Command store) {
  auto options = std::make_shared<AddOptionsOfStore>();
  const Command command = store.AddCommand("add", "Put a folder or a file into the store; NAME@latest stands for it",
                                           "mlac store add ./topics --name topics\nmlac store add train.csv --name topics.train --kind data");
  command.AddOption("source", options->source, "The folder or file").Required().Type("PATH");
  command.AddOption("--name", options->name, "What it is called").Required().Type("NAME");
  command.AddOption("--kind", options->kind, "What it is").OneOf({"model", "data", "report"}).ShowDefault();
  command.AddOption("--base", options->base, "The revision in the store that it was made from").Type("REV");
  command.AddOption("--parameter", options->parameters, "A parameter that made it, for its record; several").Type("NAME=VALUE");
  command.AddOption("-m,--message", options->why, "Why, for the history of NAME@latest").Type("WHY");
  AddStoreOption(command, options->store);
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Add(*options); });
}

struct TakeOptions {
  std::string reference, out, store;
  bool overwrite = false;
};

void AddExportCommand(Command store) {
  auto options = std::make_shared<TakeOptions>();
  const Command command = store.AddCommand("export", "Write a copy of a revision into a folder", "mlac store export topics@production --out ./topics");
  command.AddOption("revision", options->reference, "NAME, NAME@ALIAS, or the beginning of a revision").Required().Type("REV");
  command.AddOption("--out", options->out, "The folder to write").Required().Type("DIR");
  command.AddFlag("--overwrite", options->overwrite, "Replace --out with all that is in it");
  AddStoreOption(command, options->store);
  command.OnRun([options] {
    const Store store = OpenStore(options->store);
    const std::string revision = Resolve(store, options->reference).revision;
    store.Export(revision, options->out, options->overwrite);
    fmt::print("{}: revision {}\n", options->out, ShortRevision(revision));
  });
}

void AddPathCommand(Command store) {
  auto options = std::make_shared<TakeOptions>();
  const Command command = store.AddCommand("path", "Print the folder in which a revision can be read, for scripts",
                                           "ls -L \"$(mlac store path topics@latest)\"");
  command.AddOption("revision", options->reference, "NAME, NAME@ALIAS, or the beginning of a revision").Required().Type("REV");
  AddStoreOption(command, options->store);
  command.OnRun([options] {
    const Store store = OpenStore(options->store);
    fmt::print("{}\n", store.OpenFolder(Resolve(store, options->reference).revision).path());
  });
}

}  // namespace

void AddStore(Command app) {
  const Command command = app.AddCommand("store", "Put folders into the store and take them out", "mlac store add ./topics --name topics");
  command.RequireSubcommand();
  AddAddCommand(command);
  AddExportCommand(command);
  AddPathCommand(command);
}

}  // namespace mlac
