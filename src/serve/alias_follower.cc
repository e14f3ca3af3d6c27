#include "serve/alias_follower.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <new>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "hub/aliases.h"

namespace mlac {
namespace {

constexpr std::chrono::milliseconds kLastRetry{600'000};

// What a move changes of the alias's file: it is another file then, renamed into the place of the one before.
struct FileState {
  ino_t inode = 0;
  off_t size = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileState&) const = default;
};

FileState StateOf(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return {};
  return {status.st_ino, status.st_size, status.st_mtim.tv_sec * int64_t{1'000'000'000} + status.st_mtim.tv_nsec};
}

// Whether it may go better in a while.
bool MayPass(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  if (dynamic_cast<const std::system_error*>(&error) != nullptr) return true;  // no threads for its queue
  const auto* known = dynamic_cast<const Error*>(&error);
  return known != nullptr && (known->code() == ErrorCode::kIo || known->code() == ErrorCode::kResourceExhausted);
}

std::string MessageOf(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  return known != nullptr ? known->message() : dynamic_cast<const std::bad_alloc*>(&error) != nullptr ? "not enough memory" : error.what();
}

}  // namespace

struct AliasFollower::Followed {
  FollowedAlias alias;
  std::string path;                // of the alias's file
  std::optional<FileState> state;  // when it was read; nothing before that, and where what came of it is not known
  std::string seen;                // the revision that it stood for then
  bool unreadable = false;
  bool pending = false;  // what it stands for is not served: it moved just now, or that was refused
  std::string replaced;  // the revision that is served instead
  bool tried = false;    // in the look that is under way
  bool waits = false;    // for another try
  Clock::time_point retry = {};
  std::chrono::milliseconds next_wait = {};

  std::string reference() const { return alias.name + "@" + alias.alias; }
};

AliasFollower::AliasFollower(FollowOptions options, ModelLoader& loader, ModelSet& models, ServeMetrics& metrics)
    : options_(std::move(options)), loader_(loader), models_(models), metrics_(metrics) {
  for (const FollowedAlias& alias : options_.aliases) {
    auto followed = std::make_unique<Followed>();
    followed->alias = alias;
    followed->path = AliasPath(options_.store, alias.name, alias.alias);
    followed->seen = alias.revision;
    followed_.push_back(std::move(followed));
  }
  if (options_.interval.count() > 0) thread_ = std::thread([this] { Work(); });
}

AliasFollower::~AliasFollower() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void AliasFollower::Work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    Look();
    lock.lock();
    changed_.wait_for(lock, options_.interval, [this] { return stopping_; });
  }
}

void AliasFollower::Look() {
  std::vector<Followed*> moved;
  try {
    moved.reserve(followed_.size());
  } catch (const std::bad_alloc&) {  // the next time
    return;
  }
  for (const auto& followed : followed_) {
    followed->tried = false;
    try {
      if (HasMoved(*followed)) moved.push_back(followed.get());
    } catch (const std::exception&) {  // no memory even to say that it cannot be read: the next time
    }
  }
  const auto is_base = [&](const Followed* followed) {
    const ModelSet::ServicePtr served = models_.Find(followed->alias.model);
    return served != nullptr && served->origin().base.empty();
  };
  std::stable_partition(moved.begin(), moved.end(), is_base);
  for (Followed* followed : moved) {
    try {
      Load(*followed);
    } catch (const std::exception&) {  // no memory even to say what was wrong
      followed->waits = followed->pending;
      followed->retry = Clock::now() + followed->next_wait;
    }
  }
}

// Counts it, too. Where there is no memory for that, what it tells of has happened all the same.
void AliasFollower::Say(const FollowEvent& event) noexcept {
  try {
    if (event.kind != FollowEvent::Kind::kUnreadable) metrics_.CountMove(event.model, event.kind == FollowEvent::Kind::kRefused);
    options_.on_event(event);
  } catch (const std::exception&) {
  }
}

// Whether there is something to do: it moved, or is to be tried again.
bool AliasFollower::HasMoved(Followed& followed) {
  const FileState state = StateOf(followed.path);
  const bool is_time = followed.waits && Clock::now() >= followed.retry;
  if (state == followed.state && !is_time) return false;
  try {
    const std::optional<std::string> revision = Aliases(options_.store).Find(followed.alias.name, followed.alias.alias);
    if (!revision) throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no such file any more", followed.path));
    const bool has_moved = *revision != followed.seen;
    if (has_moved) {
      const ModelSet::ServicePtr served = models_.Find(followed.alias.model);
      const bool pending = served != nullptr && served->origin().revision != *revision;
      if (pending)
        followed.replaced = served->origin().revision;  // first what may find no memory: a move that is seen is not looked at again
      followed.seen = *revision;
      followed.pending = pending;  // else unloaded, or moved away and back, the one between refused
      followed.next_wait = options_.first_retry;
    }
    followed.state = state;
    followed.unreadable = false;
    if (!has_moved && !is_time) return false;
    followed.waits = false;
    return FindReplaced(followed) != nullptr;  // until it is tried again, the admin routes may have put another model in its place
  } catch (const std::exception& error) {  // it is looked at again the next time; said once
    followed.state.reset();
    if (!followed.unreadable)
      Say({FollowEvent::Kind::kUnreadable, followed.alias.model, followed.reference(), followed.seen, "", MessageOf(error)});
    followed.unreadable = true;
    return false;
  }
}

// What is served in the place of what the alias stands for, if its move is pending; null if that was unloaded or replaced by the admin
// routes since.
ModelSet::ServicePtr AliasFollower::FindReplaced(const Followed& followed) const {
  if (!followed.pending) return nullptr;
  const ModelSet::ServicePtr served = models_.Find(followed.alias.model);
  return served != nullptr && served->origin().revision == followed.replaced ? served : nullptr;
}

std::vector<AliasFollower::Followed*> AliasFollower::PendingAdaptersOf(const std::string& base) {
  std::vector<Followed*> pending;
  for (const auto& followed : followed_)
    if (const ModelSet::ServicePtr served = FindReplaced(*followed); served != nullptr && served->origin().base == base)
      pending.push_back(followed.get());
  return pending;
}

AliasFollower::Followed* AliasFollower::FindPendingBase(const std::string& base) {
  for (const auto& followed : followed_)
    if (followed->alias.model == base && FindReplaced(*followed) != nullptr) return followed.get();
  return nullptr;
}

// Serves what the aliases stand for, all or none. Throws what is wrong.
void AliasFollower::Move(const std::vector<Followed*>& group) {
  std::vector<ModelSource> sources;
  std::vector<FollowEvent> events;
  for (Followed* followed : group) {
    followed->tried = true;
    const ModelSet::ServicePtr served = models_.Find(followed->alias.model);
    if (served == nullptr) continue;
    RevisionFolder folder = options_.store.OpenFolder(followed->seen);
    std::string path = folder.path();
    sources.push_back({followed->alias.model, std::move(path), OriginOf(options_.store, followed->alias.name, std::move(folder))});
    sources.back().origin.base = served->origin().base;
    events.push_back(
        {FollowEvent::Kind::kSwapped, followed->alias.model, followed->reference(), served->origin().revision, followed->seen, ""});
  }
  if (sources.empty() || !loader_.Replace(std::move(sources))) return;
  for (Followed* followed : group) followed->pending = false;
  for (const FollowEvent& event : events) Say(event);
}

void AliasFollower::Load(Followed& followed) {
  const ModelSet::ServicePtr served = FindReplaced(followed);
  if (served == nullptr) return;  // it moved with its base
  const std::string& base = served->origin().base;
  if (Followed* const pending = base.empty() ? nullptr : FindPendingBase(base); pending != nullptr && !pending->tried) {
    try {
      std::vector<Followed*> group = PendingAdaptersOf(base);
      group.insert(group.begin(), pending);
      return Move(group);
    } catch (const std::exception&) {  // the base stays; the adapter alone may do
    }
  }
  try {
    std::vector<Followed*> group = base.empty() ? PendingAdaptersOf(followed.alias.model) : std::vector<Followed*>();
    group.insert(group.begin(), &followed);
    try {
      Move(group);
    } catch (const std::exception&) {
      if (group.size() == 1) throw;
      Move({&followed});  // over the new base the adapters as they are may do, where one that moved does not
    }
  } catch (const std::exception& error) {
    Say({FollowEvent::Kind::kRefused, followed.alias.model, followed.reference(), served->origin().revision, followed.seen,
                       MessageOf(error)});
    if (!MayPass(error)) return;
    followed.waits = true;
    followed.retry = Clock::now() + followed.next_wait;
    followed.next_wait = std::min<std::chrono::milliseconds>(2 * followed.next_wait, kLastRetry);
  }
}

}  // namespace mlac
