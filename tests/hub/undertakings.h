#pragma once
// What the tests of faults, kills and power losses do to a store.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hub/collect.h"
#include "hub/verify.h"
#include "tests/hub/store_folder.h"

namespace mlac::test {

// The revisions, records and aliases of a store, byte for byte but for times; and that all of it is whole.
struct StoreState {
  std::set<std::string> revisions, names, aliases;
  bool operator==(const StoreState&) const = default;
};
// with_checkouts: those have to be whole, too. Nothing syncs them: one that is not is made again when it is opened.
inline StoreState StateOf(const std::string& folder, bool with_checkouts = true) {
  const Store store = Store::Open(folder);
  std::vector<Damage> damages = Verify(store).damages;
  if (!with_checkouts) std::erase_if(damages, [](const Damage& damage) { return damage.path.starts_with("checkouts/"); });
  EXPECT_THAT(damages, testing::IsEmpty());
  StoreState state;
  for (const std::string& revision : store.Revisions())
    if (!store.RecordsOf(revision).empty()) state.revisions.insert(revision);
  for (const std::string& name : store.Names()) {
    for (const std::string& revision : store.RevisionsOf(name)) state.names.insert(name + "@" + revision);
    for (const std::string& alias : Aliases(store).Of(name))
      for (const AliasMove& move : Aliases(store).History(name, alias))
        state.aliases.insert(fmt::format("{}@{} {} {}", name, alias, move.number, move.revision));
  }
  return state;
}

// What a test does to a store, at each point of which something goes wrong.
struct Undertaking {
  std::string name;
  std::function<void(const Store&, const TemporaryFolder&)> prepare, act;
};

inline std::vector<Undertaking> Undertakings() {
  const auto add = [](const Store& store, const TemporaryFolder& folder) { store.Add(folder / "d", {.name = "topics", .revision = ""}); };
  const auto prepare = [](const Store& store, const TemporaryFolder& folder) {
    folder.Write("old/f", "old");
    folder.Write("old/same", "same");
    const std::string revision = store.Add(folder / "old", {.name = "topics", .revision = ""});
    Aliases(store).Publish("topics", revision);
    folder.Write("d/inner/f", "new");
    folder.Write("d/same", "same");
    folder.Write("d/empty", "");
  };
  const auto prepare_many = [=](const Store& store, const TemporaryFolder& folder) {
    prepare(store, folder);
    for (int i = 0; i < 40; ++i) folder.Write(fmt::format("d/many/{}", i), fmt::format("{}", i % 36));
  };
  return {{"add", prepare, add},
          {"add many", prepare_many, add},
          {"publish", [=](const Store& store, const TemporaryFolder& folder) { prepare(store, folder), add(store, folder); },
           [](const Store& store, const TemporaryFolder& folder) { Aliases(store).Publish("topics", Scan(folder / "d").Revision()); }},
          {"open", [=](const Store& store, const TemporaryFolder& folder) { prepare(store, folder), add(store, folder); },
           [](const Store& store, const TemporaryFolder& folder) { store.OpenFolder(Scan(folder / "d").Revision()); }},
          {"collect",
           [=](const Store& store, const TemporaryFolder& folder) {
             prepare(store, folder);
             add(store, folder);
             store.OpenFolder(Scan(folder / "d").Revision());
             store.OpenFolder(Scan(folder / "old").Revision());
             // The newest one keeps neither.
             folder.Write("last/f", "last");
             const std::string revision = store.Add(folder / "last", {.name = "topics", .revision = "", .time = "2999"});
             Aliases(store).Publish("topics", revision);
             folder.Write(".mlac/tmp/left/over", "");
           },
           [](const Store& store, const TemporaryFolder&) { CollectGarbage(store, {.keep_last = 0}); }}};
}

// What topics@latest stands for.
inline std::optional<std::string> Latest(const Store& store) { return Aliases(store).Find("topics", kLatest); }

}  // namespace mlac::test
