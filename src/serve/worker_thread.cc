#include "serve/worker_thread.h"

#include <utility>

namespace mlac {

WorkerThread::WorkerThread() : thread_([this] { Work(); }) {}

void WorkerThread::Post(std::function<void()> work) {
  Prepared prepared;
  prepared.push_back(std::move(work));
  Post(std::move(prepared));
}

void WorkerThread::Post(Prepared work) noexcept {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;  // what it holds goes after the lock
  work_.splice(work_.end(), work);
  changed_.notify_one();
}

void WorkerThread::Stop() {
  Prepared dropped;  // what they hold goes after the lock
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(work_);
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void WorkerThread::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !work_.empty(); });
    if (stopping_) return;
    Prepared work;
    work.splice(work.begin(), work_, work_.begin());
    lock.unlock();
    work.front()();
    work.clear();
    lock.lock();
  }
}

}  // namespace mlac
