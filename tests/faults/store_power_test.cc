// The power fails while a store is made, added to, published to, read and collected: what is left is the old state or the new one, what was
// reported done is there, and the next run ends as if undisturbed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/faults/power_loss.h"
#include "tests/hub/store_folder.h"
#include "tests/hub/undertakings.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ForEachPowerLoss;
using test::PowerLoss;
using test::StateOf;
using test::StoreState;
using test::TemporaryFolder;
using test::Undertaking;

// Of those of the other faults and of power losses alone.
std::vector<Undertaking> All() {
  std::vector<Undertaking> all = test::Undertakings();
  const auto add = [](const Store& store, const TemporaryFolder& folder) {
    return store.Add(folder / "d", {.name = "topics", .revision = ""});
  };
  const auto write = [](const Store&, const TemporaryFolder& folder) { folder.Write("d/inner/f", "new"); };
  const auto publish = [=](const Store& store, const TemporaryFolder& folder) { Aliases(store).Publish("topics", add(store, folder)); };
  all.push_back({"publish the first", write, publish});
  all.push_back({"promote", [=](const Store& store, const TemporaryFolder& folder) { write(store, folder), publish(store, folder); },
                 [](const Store& store, const TemporaryFolder&) { Aliases(store).Promote("topics", *test::Latest(store), kProduction); }});
  return all;
}

TEST(PowerLossOfStore, LeavesTheOldStateOrTheNewOneAndTheNextRunEndsAsIfUndisturbed) {
  size_t num_states = 0;
  for (const Undertaking& undertaking : All()) {
    const TemporaryFolder folder;
    const std::string place = folder / ".mlac";
    const Store store = Store::OpenOrCreate(place);
    undertaking.prepare(store, folder);
    const StoreState before = StateOf(place, /*with_checkouts=*/false);
    StoreState undisturbed;
    const auto act = [&] {
      undertaking.act(Store::Open(place), folder);
      undisturbed = StateOf(place, /*with_checkouts=*/false);
    };
    // Each record and revision goes on its own.
    const bool is_one_step = undertaking.name != "collect" && undertaking.name != "publish the first";
    num_states += ForEachPowerLoss(folder, /*every=*/5, act, [&](const PowerLoss& loss) {
      const std::string where = undertaking.name + ", " + loss.where;
      const StoreState found = StateOf(place, /*with_checkouts=*/false);
      EXPECT_TRUE(!is_one_step || found == before || found == undisturbed) << where;
      if (loss.finished) {
        EXPECT_TRUE(found == undisturbed) << where << ": what was done is lost";
      }
      const std::optional<std::string> latest = test::Latest(store);
      EXPECT_TRUE(!latest || store.Has(*latest)) << where;
      EXPECT_TRUE(latest || before.aliases.empty()) << where << ": an alias is lost";
      undertaking.act(store, folder);
      EXPECT_TRUE(StateOf(place, /*with_checkouts=*/false) == undisturbed) << where << ": run again";
      CollectGarbage(store, {.keep_last = 100});
      for (const std::string& name : folder.List()) EXPECT_EQ(name.find(".partial-"), std::string::npos) << where << ": " << name;
      EXPECT_TRUE(fs::is_empty(store.Part("tmp"))) << where;
    });
  }
  std::printf("%7zu states of a store after a power loss\n", num_states);
  EXPECT_GT(num_states, 100u);
}

TEST(PowerLossOfStore, WhileItIsMadeLeavesOneThatIsFinishedTheNextTime) {
  const TemporaryFolder folder;
  const std::string place = folder / ".mlac";
  const size_t num_states = ForEachPowerLoss(
      folder, 1, [&] { Store::OpenOrCreate(place); },
      [&](const PowerLoss& loss) {
        if (loss.finished) {
          EXPECT_NO_THROW(Store::Open(place)) << loss.where;
        }
        const Store store = Store::OpenOrCreate(place);
        EXPECT_TRUE(Verify(store).damages.empty()) << loss.where;
      });
  std::printf("%7zu states of a new store after a power loss\n", num_states);
}

TEST(PowerLossOfStore, IsThereOnceItIsFinishedWhoeverBeganIt) {
  const TemporaryFolder folder;
  const std::string place = folder / ".mlac";
  const auto act = [&] {
    fs::create_directory(place);  // as far as a process came that was killed
    Store::OpenOrCreate(place);
  };
  ForEachPowerLoss(folder, 1, act, [&](const PowerLoss& loss) {
    if (loss.finished) {
      EXPECT_NO_THROW(Store::Open(place)) << loss.where;
    }
  });
}

TEST(PowerLossOfStore, ARollbackIsDoneOrNot) {
  const TemporaryFolder folder;
  const std::string place = folder / ".mlac";
  const Store store = Store::OpenOrCreate(place);
  std::vector<std::string> revisions;
  for (const std::string name : {"a", "b"}) {
    folder.Write(name + "/f", name);
    revisions.push_back(store.Add(folder / name, {.name = "topics", .revision = ""}));
    Aliases(store).Promote("topics", revisions.back(), kProduction);
  }
  const auto act = [&] { Aliases(store).Rollback("topics", kProduction); };
  const size_t num_states = ForEachPowerLoss(folder, 1, act, [&](const PowerLoss& loss) {
    const std::optional<std::string> found = Aliases(store).Find("topics", kProduction);
    ASSERT_TRUE(found) << loss.where;
    EXPECT_TRUE(*found == revisions[0] || (*found == revisions[1] && !loss.finished)) << loss.where;
  });
  std::printf("%7zu states of an alias after a power loss\n", num_states);
}

}  // namespace
}  // namespace mlac
