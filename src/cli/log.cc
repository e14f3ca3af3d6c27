// mlac log: what is in the store; the revisions of a name; the moves of an alias.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/display.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/number_options.h"
#include "cli/store_access.h"
#include "cli/terminal.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

struct LogOptions {
  std::string name, store;
  size_t max_count = 0;
  bool json = false;
};

// Of a name, by revision: the aliases that stand for it.
std::map<std::string, std::vector<std::string>> AliasesByRevision(const Store& store, const std::string& name) {
  std::map<std::string, std::vector<std::string>> found;
  const Aliases aliases(store);
  for (const std::string& alias : aliases.Of(name))
    if (const auto revision = aliases.Find(name, alias)) found[*revision].push_back(alias);
  return found;
}

std::string Padded(const std::string& text, size_t width, Color color) {
  return Colored(Stream::kOut, color, text) + std::string(width - std::min(width, DisplayWidth(text)), ' ');
}

// ---- All names ----

ordered_json DescribeNames(const Store& store) {
  auto list = ordered_json::array();
  const Aliases aliases(store);
  for (const std::string& name : store.Names()) {
    const std::vector<Record> log = store.Log(name);
    if (log.empty()) continue;
    ordered_json standing = ordered_json::object();
    for (const std::string& alias : aliases.Of(name))
      if (const auto revision = aliases.Find(name, alias)) standing[alias] = *revision;
    list.push_back({{"name", name}, {"kind", Name(log.front().kind)}, {"num_revisions", log.size()}, {"time", log.front().time}, {"aliases", standing}});
  }
  return list;
}

std::string NamesAsText(const ordered_json& names) {
  size_t width = 4;
  for (const ordered_json& entry : names) width = std::max(width, entry.at("name").get<std::string>().size());
  std::string out = Colored(Stream::kOut, Color::kFaint, fmt::format("{:<{}}  kind    revisions  newest            aliases", "name", width)) + "\n";
  for (const ordered_json& entry : names) {
    std::string aliases;
    for (const auto& [alias, revision] : entry.at("aliases").items())
      aliases += fmt::format("{}{} {}", aliases.empty() ? "" : ", ", Colored(Stream::kOut, Color::kGreen, alias), ShortRevision(revision.get<std::string>()));
    out += fmt::format("{}  {:<6}  {:>9}  {}  {}\n", Padded(entry.at("name").get<std::string>(), width, Color::kBold), entry.at("kind").get<std::string>(),
                       entry.at("num_revisions").get<size_t>(), ShortTime(entry.at("time").get<std::string>()), aliases);
  }
  return out;
}

// ---- The revisions of one name ----

ordered_json DescribeRevisions(const Store& store, const std::string& name, size_t max_count) {
  std::vector<Record> log = store.Log(name);
  if (log.empty()) Resolve(store, name);  // throws, with the nearest name
  if (max_count > 0 && log.size() > max_count) log.resize(max_count);
  std::map<std::string, std::vector<std::string>> aliases = AliasesByRevision(store, name);
  auto list = ordered_json::array();
  for (const Record& record : log)
    list.push_back({{"revision", record.revision},
                    {"time", record.time},
                    {"kind", Name(record.kind)},
                    {"made_by", record.made_by},
                    {"who", record.who},
                    {"git_commit", record.git_commit},
                    {"git_dirty", record.git_dirty},
                    {"aliases", aliases[record.revision]}});
  return list;
}

std::string RevisionsAsText(const ordered_json& revisions) {
  std::string out;
  for (const ordered_json& entry : revisions) {
    const auto text = [&](const char* key) { return Printable(entry.at(key).get<std::string>(), 60); };
    const std::vector<std::string> aliases = entry.at("aliases").get<std::vector<std::string>>();
    const std::string names = aliases.empty() ? "" : Colored(Stream::kOut, Color::kGreen, fmt::format("({})", fmt::join(aliases, ", "))) + " ";
    const char* changes = entry.at("git_dirty").get<bool>() ? " with changes" : "";
    const std::string commit = text("git_commit").empty() ? "" : fmt::format(", commit {}{}", text("git_commit").substr(0, 12), changes);
    out += fmt::format("{}  {}  {}{} by {}{}\n", Colored(Stream::kOut, Color::kYellow, ShortRevision(text("revision"))), ShortTime(text("time")), names,
                       text("made_by").empty() ? "made" : text("made_by"), text("who"), commit);
  }
  return out;
}

// ---- The moves of one alias ----

ordered_json DescribeMoves(const Store& store, const std::string& name, const std::string& alias, size_t max_count) {
  std::vector<AliasMove> history = Aliases(store).History(name, alias);
  if (history.empty()) Resolve(store, fmt::format("{}@{}", name, alias));  // throws, with the aliases that there are
  std::reverse(history.begin(), history.end());
  if (max_count > 0 && history.size() > max_count) history.resize(max_count);
  auto list = ordered_json::array();
  for (const AliasMove& move : history)
    list.push_back({{"number", move.number}, {"revision", move.revision}, {"action", move.action}, {"who", move.who}, {"time", move.time}, {"why", move.why}});
  return list;
}

std::string MovesAsText(const ordered_json& moves) {
  std::string out;
  for (const ordered_json& entry : moves) {
    const auto text = [&](const char* key) { return Printable(entry.at(key).get<std::string>()); };
    out += fmt::format("{}  {}  {} by {}{}\n", Colored(Stream::kOut, Color::kYellow, ShortRevision(text("revision"))), ShortTime(text("time")), text("action"),
                       text("who"), text("why").empty() ? "" : ": " + text("why"));
  }
  return out;
}

void Execute(const LogOptions& options) {
  const Store store = OpenStore(options.store);
  const size_t at = options.name.find('@');
  const auto print = [&](const ordered_json& list, std::string (*as_text)(const ordered_json&)) {
    fmt::print("{}", options.json ? DumpJson(list, 2) + "\n" : as_text(list));
  };
  if (options.name.empty())
    print(DescribeNames(store), NamesAsText);
  else if (at == std::string::npos)
    print(DescribeRevisions(store, options.name, options.max_count), RevisionsAsText);
  else
    print(DescribeMoves(store, options.name.substr(0, at), options.name.substr(at + 1), options.max_count), MovesAsText);
}

}  // namespace

void AddLog(Command app) {
  auto options = std::make_shared<LogOptions>();
  const Command command = app.AddCommand("log", "List what is in the store, the revisions of a name, or the moves of an alias",
                                         "mlac log\nmlac log topics\nmlac log topics@production --json");
  command.AddOption("name", options->name, "A name, or NAME@ALIAS; without one: all names").Type("NAME");
  WholeNumber(command.AddOption("-n,--max-count", options->max_count, "The newest N alone; 0: all").Type("N").ShowDefault(),
              0);
  AddStoreOption(command, options->store);
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
