// Each allocation fails in turn while aliases that have moved are looked at: nothing is thrown, and once there is memory again the models
// that they stand for are served.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>

#include "base/file.h"
#include "hub/aliases.h"
#include "serve/alias_follower.h"
#include "tests/faults/each_allocation.h"
#include "tests/faults/failing_new.h"
#include "tests/faults/power_loss.h"
#include "tests/hub/store_folder.h"
#include "tests/serve/fake_model.h"

namespace mlac {
namespace {

using test::AllocationReport;
using test::Attempt;
using test::FailEachAllocation;
using test::FailingNew;
using test::Stride;
using test::WithMemory;

// A base and an adapter over it, two revisions of each, and who follows their aliases.
class Followed {
 public:
  Followed() {
    for (size_t i = 0; i < 2; ++i)
      for (const std::string name : kNames) {
        revisions_[i].push_back(files_.Add(name, {{"number", std::to_string(i)}}, {.name = "", .revision = ""}));
        Aliases(files_.store).Promote(name, revisions_[i].back(), kProduction);
        alias_files_[i].push_back(test::ReadWhole(AliasPath(files_.store, name, kProduction)));
      }
    std::vector<ModelSource> sources;
    std::vector<FollowedAlias> aliases;
    for (size_t m = 0; m < kNames.size(); ++m) {
      const std::string revision = revisions_[now_][m], name = kNames[m];
      RevisionFolder folder = files_.store.OpenFolder(revision);
      const std::string path = folder.path();
      sources.push_back({name, path, OriginOf(files_.store, name, std::move(folder))});
      if (m == 1) sources.back().origin.base = "base";
      aliases.push_back({.model = name, .name = name, .alias = std::string(kProduction), .revision = revision});
    }
    loader_.Load(std::move(sources));
    follower_.emplace(FollowOptions{.store = files_.store,
                                    .aliases = std::move(aliases),
                                    .on_event = [](const FollowEvent& event) { (void)std::string(event.message + std::string(100, ' ')); },
                                    .interval = std::chrono::milliseconds(0),
                                    .first_retry = std::chrono::milliseconds(0)},
                      loader_, models_, metrics_);
  }

  // Both aliases move to the other revision, with the history of the first time, so that reading them does not take more each time.
  void Promote() {
    now_ = 1 - now_;
    for (size_t m = 0; m < kNames.size(); ++m) WriteFileAtomically(AliasPath(files_.store, kNames[m], kProduction), alias_files_[now_][m]);
  }
  // "" if it does not throw.
  std::string Look() {
    try {
      follower_->Look();
      return "";
    } catch (const std::exception& error) {
      return fmt::format("a look threw {}", error.what());
    }
  }
  // "" if those are served that the aliases stand for.
  std::string Compare() const {
    for (size_t m = 0; m < kNames.size(); ++m) {
      const ModelSet::ServicePtr served = models_.Find(kNames[m]);
      if (served == nullptr) return "a model is gone";
      if (served->origin().revision != revisions_[now_][m]) return fmt::format("the move of '{}' is lost", kNames[m]);
    }
    return "";
  }

 private:
  static constexpr std::array<const char*, 2> kNames = {"base", "tone"};
  // What opening a model asks for is tested elsewhere.
  static std::unique_ptr<ServedModel> Open() {
    const WithMemory memory;
    return std::make_unique<FakeModel>();
  }

  test::StoreFolder files_;
  std::array<std::vector<std::string>, 2> revisions_, alias_files_;  // of each name
  size_t now_ = 1;
  ServeMetrics metrics_;
  ModelSet models_{{}, metrics_};
  ModelLoader loader_{
      {.model = [](const std::string&) { return Open(); }, .adapter = [](const ServedModel&, const std::string&) { return Open(); }},
      models_};
  std::optional<AliasFollower> follower_;
};

TEST(FailingAllocationsOfAServer, LoseNoMoveOfAnAlias) {
  for (const size_t count : {size_t{1}, size_t{8}, FailingNew::kAllBehind}) {
    const AllocationReport report = FailEachAllocation(Stride(3), count, [] {
      const auto followed = std::make_shared<Followed>();
      return Attempt{.before = [=] { followed->Promote(); },
                     .act = [=] { return followed->Look(); },
                     .behind =
                         [=] {
                           std::string fault = followed->Compare();
                           for (int looks = 0; looks < 3 && !fault.empty(); ++looks) {
                             if (const std::string thrown = followed->Look(); !thrown.empty()) return thrown;
                             fault = followed->Compare();
                           }
                           return fault;
                         }};
    });
    Print(fmt::format("moved aliases, {} in a row", count == FailingNew::kAllBehind ? "all" : fmt::to_string(count)), report);
    EXPECT_EQ(report.num_findings, 0u) << count << ": " << testing::PrintToString(report.findings);
    EXPECT_GT(report.num_points, 100u) << count;
  }
}

}  // namespace
}  // namespace mlac
