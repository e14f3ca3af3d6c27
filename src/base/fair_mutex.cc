#include "base/fair_mutex.h"

namespace mlac {

void FairMutex::lock() {
  std::unique_lock lock(mutex_);
  const uint64_t own = next_++;
  changed_.wait(lock, [&] { return current_ == own; });
}

void FairMutex::unlock() {
  const std::lock_guard lock(mutex_);
  ++current_;
  changed_.notify_all();
}

size_t FairMutex::num_waiting() const {
  const std::lock_guard lock(mutex_);
  return next_ - current_ <= 1 ? 0 : next_ - current_ - 1;
}

}  // namespace mlac
