#pragma once
// A thread that does what it is given, in order.
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace mlac {

class WorkerThread {
 public:
  WorkerThread();
  ~WorkerThread() { Stop(); }
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // One piece of work in the memory that it will wait in, so that none is needed where it is handed over.
  using Prepared = std::list<std::function<void()>>;

  // work must not throw. After Stop it is dropped.
  void Post(std::function<void()> work);
  void Post(Prepared work) noexcept;
  // Finishes what is under way and drops the rest. Once, not from the thread itself.
  void Stop();

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  Prepared work_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mlac
