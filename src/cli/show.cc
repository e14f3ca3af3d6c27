// mlac show: one revision: what made it and what it holds.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/project_options.h"
#include "cli/store_access.h"
#include "cli/terminal.h"
#include "hub/diff.h"
#include "project/reproduce.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

constexpr size_t kFilesShown = 12;

struct ShowOptions {
  std::string reference, store;
  size_t num_threads = 1;
  bool json = false, reproduce = false;
};

void MakeAgain(const ShowOptions& options, const Store& store, const ResolvedReference& reference) {
  Reproduction result;
  {
    ApplyConsole console;
    result = Reproduce(store, reference, options.num_threads, console, CatchInterrupts());
  }
  if (options.json) {
    const ordered_json out = {{"revision", result.revision}, {"found", result.found}, {"equal", result.equal()}, {"different", result.different}};
    fmt::print("{}\n", DumpJson(out, 2));
  } else {
    fmt::print("made {} from its record, found {}: {}\n", ShortRevision(result.revision), ShortRevision(result.found),
               result.equal() ? "the same, bit for bit" : "not the same");
  }
  if (result.equal()) return;
  std::vector<std::string> shown;
  for (const std::string& path : result.different) shown.push_back(Printable(path));
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: it came out otherwise: {}", ShortRevision(result.revision), fmt::join(shown, ", ")),
              "please report it, with what 'mlac env' prints here and where it was made");
}

// The names that stand for it: "topics@latest".
std::vector<std::string> StandsFor(const Store& store, const std::string& revision, const std::vector<Record>& records) {
  std::vector<std::string> found;
  const Aliases aliases(store);
  for (const Record& record : records)
    for (const std::string& alias : aliases.Of(record.name))
      if (aliases.Find(record.name, alias) == revision) found.push_back(fmt::format("{}@{}", record.name, alias));
  return found;
}

ordered_json Describe(const Store& store, const ResolvedReference& reference) {
  std::vector<Record> records = store.RecordsOf(reference.revision);
  // The one that was asked for comes first.
  std::stable_partition(records.begin(), records.end(), [&](const Record& record) { return record.name == reference.name; });
  const Manifest manifest = store.ReadManifest(reference.revision);
  ordered_json out = {{"revision", reference.revision}, {"aliases", StandsFor(store, reference.revision, records)}};
  out["records"] = ordered_json::array();
  for (const Record& record : records) out["records"].push_back(RecordFields(record));
  out["figures"] = FiguresOf(store, reference.revision);
  out["num_bytes"] = manifest.num_bytes();
  out["files"] = ordered_json::array();
  for (const ManifestEntry& entry : manifest.entries()) out["files"].push_back({{"path", entry.path}, {"size", entry.size}, {"sha256", entry.sha256}});
  return out;
}

std::string Line(const std::string& name, const std::string& value) { return value.empty() ? "" : fmt::format("{}{}\n", PadRight(name, 14), value); }

std::string RecordAsText(const ordered_json& record) {
  const auto text = [&](const char* key) { return Printable(record.at(key).get<std::string>()); };
  std::string out = Line(text("kind"), Colored(Stream::kOut, Color::kBold, text("name")));
  const double seconds = record.at("duration_seconds").get<double>();
  out += Line("made by", fmt::format("{}{}", text("made_by"), seconds > 0 ? " in " + ShowDuration(seconds) : ""));
  out += Line("who", text("who"));
  out += Line("time", text("time"));
  out += Line("base", text("base"));
  for (const auto& [role, revision] : record.at("data").items()) out += Line("data", fmt::format("{} {}", Printable(role), revision.get<std::string>()));
  if (record.contains("answers")) out += Line("answers", text("answers"));
  if (!text("git_commit").empty()) out += Line("git commit", text("git_commit") + (record.at("git_dirty").get<bool>() ? ", with changes" : ""));
  out += Line("mlac", fmt::format("{}, {}", text("mlac_version"), text("instruction_set")));
  if (!record.at("seed").is_null()) out += Line("seed", DumpJson(record.at("seed")));
  for (const auto& [name, value] : record.at("parameters").items())
    out += Line("parameter", fmt::format("{} {}", Printable(name), Printable(value.get<std::string>())));
  return out;
}

std::string RevisionAsText(const ordered_json& revision) {
  std::string out = Line("revision", Colored(Stream::kOut, Color::kYellow, revision.at("revision").get<std::string>()));
  if (const auto aliases = revision.at("aliases").get<std::vector<std::string>>(); !aliases.empty())
    out += Line("stands for", Colored(Stream::kOut, Color::kGreen, fmt::format("{}", fmt::join(aliases, ", "))));
  for (const ordered_json& record : revision.at("records")) out += RecordAsText(record);
  for (const auto& [name, value] : revision.at("figures").items())
    if (name.find('.') == std::string::npos) out += Line("figure", fmt::format("{} {:.4g}", Printable(name), value.get<double>()));
  const ordered_json& files = revision.at("files");
  out += Line("files", fmt::format("{} with {} bytes", files.size(), revision.at("num_bytes").get<uint64_t>()));
  for (size_t i = 0; i < std::min(files.size(), kFilesShown); ++i)
    out += fmt::format("  {:>12}  {}\n", files[i].at("size").get<uint64_t>(), Printable(files[i].at("path").get<std::string>()));
  if (files.size() > kFilesShown) out += fmt::format("  and {} more: --json has all\n", files.size() - kFilesShown);
  return out;
}

}  // namespace

void AddShow(Command app) {
  auto options = std::make_shared<ShowOptions>();
  const Command command = app.AddCommand("show", "Show what made a revision and what it holds", "mlac show topics@production\nmlac show 3fa94c21 --json");
  command.AddOption("revision", options->reference, "NAME, NAME@ALIAS, or the beginning of a revision").Required().Type("REV");
  command.AddFlag("--reproduce", options->reproduce, "Make the model once more from what its record names, and compare every file");
  AddStoreOption(command, options->store);
  AddThreadsOption(command, options->num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options] {
    const Store store = OpenStore(options->store);
    if (options->reproduce) return MakeAgain(*options, store, Resolve(store, options->reference));
    const ordered_json revision = Describe(store, Resolve(store, options->reference));
    fmt::print("{}", options->json ? DumpJson(revision, 2) + "\n" : RevisionAsText(revision));
  });
}

}  // namespace mlac
