#pragma once
// Follows aliases of a store: when `mlac promote` or `mlac rollback` moves one, its model takes the place of the one that is served.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hub/store.h"
#include "serve/metrics.h"
#include "serve/model_loader.h"
#include "serve/model_set.h"

namespace mlac {

struct FollowedAlias {
  std::string model;        // what clients call it
  std::string name, alias;  // NAME@ALIAS
  std::string revision;     // that is served when following begins
};

// What came of a move, or that an alias cannot be read.
struct FollowEvent {
  enum class Kind { kSwapped, kRefused, kUnreadable };
  Kind kind = Kind::kSwapped;
  std::string model, reference;  // "topics", "topics@production"
  std::string before, after;     // revisions; after is "" where it cannot be read
  std::string message;           // why not
};

struct FollowOptions {
  Store store;
  std::vector<FollowedAlias> aliases;
  // From the follower's thread. Where it throws, following goes on.
  std::function<void(const FollowEvent& event)> on_event = [](const FollowEvent&) {};
  // Between two looks at the files of the aliases. Their times are compared, which works on network file systems, too, where notices of
  // changes made elsewhere do not come. 0: looks only when it is told to.
  std::chrono::milliseconds interval{1000};
  std::chrono::milliseconds first_retry{30'000};
};

// A move is answered to once: the new model is opened and checked (ModelOrigin::checks) beside the one that is served, then they change
// places in the set. A model that does not open or fails a check is refused, and the one before stays until the alias moves again; where
// memory, threads or reading failed, it is tried again, after 30 s at first, then at ever longer intervals up to 10 min. A model that is
// served no more (Admin) does not come back; one that was put in its place stays until the alias moves. A base and the adapters over it
// belong together (ModelLoader). Where a base moves, adapters whose aliases have moved, too, move with it; where that was refused, a later
// move of one of its adapters has it tried again, so that both may move in either order.
class AliasFollower {
 public:
  AliasFollower(FollowOptions options, ModelLoader& loader, ModelSet& models, ServeMetrics& metrics);
  ~AliasFollower();  // ends what is under way
  AliasFollower(const AliasFollower&) = delete;
  AliasFollower& operator=(const AliasFollower&) = delete;

  // Looks once. Not while its own thread looks: for an interval of 0.
  void Look();

 private:
  using Clock = std::chrono::steady_clock;
  struct Followed;
  void Say(const FollowEvent& event) noexcept;
  bool HasMoved(Followed& followed);
  ModelSet::ServicePtr FindReplaced(const Followed& followed) const;
  std::vector<Followed*> PendingAdaptersOf(const std::string& base);
  Followed* FindPendingBase(const std::string& base);
  void Move(const std::vector<Followed*>& group);
  void Load(Followed& followed);
  void Work();

  const FollowOptions options_;
  ModelLoader& loader_;
  ModelSet& models_;
  ServeMetrics& metrics_;
  std::vector<std::unique_ptr<Followed>> followed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mlac
