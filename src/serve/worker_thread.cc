#include "serve/worker_thread.h"

#include <utility>

namespace mlac {

WorkerThread::WorkerThread() : thread_([this] { Work(); }) {}

void WorkerThread::Post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  work_.push_back(std::move(work));
  changed_.notify_one();
}

void WorkerThread::Stop() {
  std::deque<std::function<void()>> dropped;  // what they hold goes after the lock
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
    std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace mlac
