#pragma once
// A mutex that those who wait get in the order of their coming.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace mlac {

// For std::lock_guard. With std::mutex one who gives it back and wants it again at once is faster than one who has to be woken, and who
// takes it a thousand times in a row would have all of them.
class FairMutex {
 public:
  FairMutex() = default;
  FairMutex(const FairMutex&) = delete;
  FairMutex& operator=(const FairMutex&) = delete;

  void lock();
  void unlock();

  size_t num_waiting() const;  // for tests

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t next_ = 0, current_ = 0;  // the number of who comes next; of who holds it, or may
};

}  // namespace mlac
