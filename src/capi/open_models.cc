#include "capi/open_models.h"

#include <pthread.h>
#include <unistd.h>

#include <new>

#include "base/error.h"

namespace mlac {
namespace {

uintptr_t Number(const mlac_model* handle) { return reinterpret_cast<uintptr_t>(handle); }

}  // namespace

// A thread that holds the mutex while another one forks does not exist in the child, where nobody would ever let go of it. So the one that
// forks takes it before, and both processes give it back.
OpenModels::OpenModels() {
  const auto take = [] { Get().mutex_.lock(); };
  const auto give_back = [] { Get().mutex_.unlock(); };
  if (pthread_atfork(take, give_back, give_back) != 0) throw std::bad_alloc();
}

OpenModels& OpenModels::Get() {
  static OpenModels& models = *new OpenModels;
  return models;
}

mlac_model* OpenModels::Add(std::shared_ptr<SharedModel> model) {
  const std::lock_guard lock(mutex_);
  entries_.emplace(last_ + 1, Entry{std::move(model), getpid(), /*closed=*/false});
  return reinterpret_cast<mlac_model*>(++last_);
}

std::shared_ptr<SharedModel> OpenModels::Find(const mlac_model* handle) const {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(Number(handle));
  if (entry == entries_.end() || entry->second.closed)
    throw Error(ErrorCode::kInvalidArgument, handle == nullptr         ? "'model' is NULL"
                                             : Number(handle) <= last_ ? "'model' is closed"
                                                                       : "'model' is no model that mlac_open gave");
  if (entry->second.process != getpid())
    throw Error(ErrorCode::kUnsupported, "'model' was opened before this process was forked, and its threads are not here",
                "open it in this process");
  return entry->second.model;
}

bool OpenModels::Remove(const mlac_model* handle) {
  std::shared_ptr<SharedModel> last;  // ends behind the lock: a model waits for its threads
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(Number(handle));
  if (entry == entries_.end() || entry->second.closed) return false;
  if (entry->second.process != getpid()) {
    entry->second.closed = true;
    return true;
  }
  last = std::move(entry->second.model);
  entries_.erase(entry);
  return true;
}

}  // namespace mlac
