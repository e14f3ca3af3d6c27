#include "capi/open_models.h"

#include <unistd.h>

#include "base/error.h"

namespace mlac {
namespace {

uintptr_t Number(const mlac_model* handle) { return reinterpret_cast<uintptr_t>(handle); }

}  // namespace

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
