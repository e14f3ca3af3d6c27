#include "serve/alias_follower.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <new>
#include <optional>

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
  bool waits = false;  // for another try
  Clock::time_point retry = {};
  std::chrono::milliseconds next_wait = {};

  std::string reference() const { return alias.name + "@" + alias.alias; }
};

AliasFollower::AliasFollower(FollowOptions options, ModelSet& models, ServeMetrics& metrics)
    : options_(std::move(options)), models_(models), metrics_(metrics) {
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
  for (const auto& followed : followed_) {
    try {
      LookAt(*followed);
    } catch (const std::exception&) {  // no memory to look, or to say what was found: the next time
      followed->state.reset();
    }
  }
}

void AliasFollower::LookAt(Followed& followed) {
  const FileState state = StateOf(followed.path);
  const bool is_time = followed.waits && Clock::now() >= followed.retry;
  if (state == followed.state && !is_time) return;
  std::optional<std::string> revision;
  try {
    revision = Aliases(options_.store).Find(followed.alias.name, followed.alias.alias);
    if (!revision) throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no such file any more", followed.path));
  } catch (const std::exception& error) {  // it is looked at again the next time; said once
    followed.state.reset();
    if (followed.unreadable) return;
    options_.on_event({FollowEvent::Kind::kUnreadable, followed.alias.model, followed.reference(), followed.seen, "", MessageOf(error)});
    followed.unreadable = true;
    return;
  }
  followed.state = state;
  followed.unreadable = false;
  if (*revision == followed.seen && !is_time) return;
  if (*revision != followed.seen) followed.next_wait = options_.first_retry;
  Load(followed, *revision);
}

void AliasFollower::Load(Followed& followed, const std::string& revision) {
  const ModelSet::ServicePtr served = models_.Find(followed.alias.model);
  FollowEvent event = {FollowEvent::Kind::kSwapped, followed.alias.model, followed.reference(), "", revision, ""};
  if (served) event.before = served->origin().revision;
  followed.waits = false;
  followed.seen = revision;              // from here on the move has been answered to
  if (!served) return;                   // unloaded
  if (event.before == revision) return;  // moved away and back, the one between refused
  try {
    RevisionFolder folder = options_.store.OpenFolder(revision);
    std::unique_ptr<ServedModel> model = options_.open(folder.path());
    if (!models_.Replace(followed.alias.model, std::move(model), OriginOf(options_.store, followed.alias.name, std::move(folder)))) return;
  } catch (const std::exception& error) {
    event.kind = FollowEvent::Kind::kRefused;
    event.message = MessageOf(error);
    if (MayPass(error)) {
      followed.waits = true;
      followed.retry = Clock::now() + followed.next_wait;
      followed.next_wait = std::min<std::chrono::milliseconds>(2 * followed.next_wait, kLastRetry);
    }
  }
  metrics_.CountMove(followed.alias.model, event.kind == FollowEvent::Kind::kRefused);
  options_.on_event(event);
}

}  // namespace mlac
